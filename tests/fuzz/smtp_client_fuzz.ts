/**
 * Fuzzes the SMTP client session: `deno run -A tests/fuzz/smtp_client_fuzz.ts [--seconds N] [--seed N]`.
 *
 * Invariants, for any octets that a server sends and any moment at which the connection is lost:
 * 1. Nothing throws.
 * 2. Input fed whole, octet by octet and cut up at random gives the same events, the same output and the same dialogue. (But for
 *    what follows the 220 to STARTTLS in one piece with it, which ends the session, and for a reply that comes before what it
 *    would answer, which does too.)
 * 3. Each transaction that was begun gets one `done` with one result a recipient; after the connection is lost none is open.
 * 4. Nothing comes after `failed` and `closed`, and one of them comes.
 * 5. Each line sent outside of content begins with a command that the session may say there, or answers a 334.
 * 6. The dialogue is at most 16 KiB long and holds neither password nor control characters.
 *
 * Inputs are made by a grammar of a server's replies, then mutated. A failure prints the seed of its input and the input
 * as hex; `--seed N` with that seed makes the same input first.
 *
 * @module
 */
import { Chooser, drive } from "./drive.ts";
import { fromLatin1 } from "../../src/base/bytes.ts";
import { DIALOGUE_OCTETS } from "../../src/base/limits.ts";
import type { ClientSettings } from "../../src/smtp/client/session.ts";
import {
  converse,
  type ConverseOptions,
  ehlo,
  type Outgoing,
  to,
  type Transcript,
} from "../unit/smtp/client/peer.ts";

const PASSWORD = "tr0ub4dor";
const EXTENSIONS = [
  ...[
    "PIPELINING",
    "PIPELINING",
    "CHUNKING",
    "SIZE 100",
    "SIZE 0",
    "8BITMIME",
    "SMTPUTF8",
    "DSN",
    "STARTTLS",
  ],
  ...[
    "AUTH PLAIN LOGIN",
    "AUTH SCRAM-SHA-256",
    "LIMITS RCPTMAX=2",
    "REQUIRETLS",
    "DELIVERBY 5",
    "MT-PRIORITY",
    "?",
  ],
];
const ODD = [
  ...[
    "250-a\r\n250 b\r\n",
    "250-a\r\n251 b\r\n",
    "250\r\n",
    "25\r\n",
    "\r\n",
    "250 a\n",
    "421 bye\r\n",
    "120 x\r\n",
  ],
  ...[
    "334 \r\n",
    "334 QUJD\r\n",
    "334 ?\r\n",
    "221 bye\r\n",
    "552 5.2.2 full\r\n",
    `250 ${"x".repeat(3000)}\r\n`,
  ],
  ...[`550 ${PASSWORD}\r\n`, "250 \x1b[2J\x9b\xff\r\n", "999 x\r\n", "250-x\r\n".repeat(120)],
];
const LIKELY = [
  "250 2.0.0 ok\r\n",
  "250 ok\r\n",
  "354 go\r\n",
  "550 5.1.1 no\r\n",
  "451 later\r\n",
  "235 ok\r\n",
];
const CONTENT = [
  "line\r\n",
  ".\r\n",
  ".",
  "\r\n",
  "\r",
  "\n",
  "",
  "\xff",
  "x".repeat(70_000),
  "\r\n.\r\n",
  "QUIT\r\n",
];

function extensions(choose: Chooser): string {
  return ehlo(...EXTENSIONS.filter(() => choose.once(3)));
}

function segment(choose: Chooser): string {
  let text = "";
  for (let n = choose.below(4); n >= 0; n--) {
    text += choose.once(8) ? choose.oneOf(ODD) : choose.oneOf(LIKELY);
  }
  return text;
}

function mutate(octets: string, choose: Chooser): string {
  const at = choose.below(octets.length + 1);
  const until = Math.min(octets.length, at + 1 + choose.below(6));
  const put = choose.oneOf([
    "",
    "\r",
    "\n",
    "\r\n",
    "-",
    " ",
    "2",
    "4",
    "\0",
    "\xff",
    octets.slice(at, until),
  ]);
  return octets.slice(0, at) + put + octets.slice(choose.once(2) ? at : until);
}

function message(choose: Chooser): Outgoing {
  const recipients = Array.from({ length: 1 + choose.below(4) }, (_, i) => `r${i}@example.test`);
  return {
    ...to(recipients, {
      size: choose.oneOf([10, 200]),
      smtpUtf8: choose.once(6),
      requests: choose.once(3) ? { ret: "FULL", envid: "x y", priority: 2 } : undefined,
    }),
    content: Array.from({ length: choose.below(6) }, () => choose.oneOf(CONTENT)),
  };
}

interface Case {
  readonly script: readonly string[];
  readonly options: ConverseOptions;
}

function makeCase(seed: number): Case {
  const choose = new Chooser(seed);
  const script = [choose.once(10) ? choose.oneOf(ODD) : "220 mx ESMTP\r\n", extensions(choose)];
  if (choose.once(4)) script.push("220 go\r\n", extensions(choose));
  for (let n = choose.below(8); n > 0; n--) script.push(segment(choose));
  if (choose.once(2)) {
    const at = choose.below(script.length);
    for (let m = choose.below(4); m >= 0; m--) script[at] = mutate(script[at]!, choose);
  }
  const credentials = { user: "alice", password: PASSWORD, nonce: "abc" };
  const settings: Partial<ClientSettings> = {
    starttls: choose.oneOf(["never", "if-offered", "required"]),
    ...(choose.once(3) ? { tls: "TLSv1.3" } : {}),
    ...(choose.once(4) ? { credentials } : {}),
  };
  const messages = Array.from({ length: choose.below(4) }, () => message(choose));
  const quit = choose.oneOf(["quit", "stay"] as const);
  return { script, options: { settings, messages, quit, lost: "lost" } };
}

function fail(invariant: number, what: string): never {
  throw new Error(`invariant ${invariant}: ${what}`);
}

function checkEvents({ events }: Transcript, { options }: Case): void {
  const ready = events.some((event) => event.kind === "ready");
  const done = events.filter((event) => event.kind === "done");
  const { messages = [] } = options;
  // Each `done` begins the next message at once, so only the session's end leaves some out.
  if (ready && messages.length > 0 && done.length === 0) fail(3, "a transaction without results");
  for (const [at, event] of done.entries()) {
    const expected = messages[at]?.transaction.recipients.length;
    if (event.results.length !== expected) {
      fail(3, `${event.results.length} results for ${expected} recipients`);
    }
  }
  const last = events.at(-1)?.kind;
  if (last !== "failed" && last !== "closed") fail(4, `the last event is ${last}`);
}

const COMMAND = /^(?:EHLO|HELO|STARTTLS|AUTH|MAIL|RCPT|DATA|RSET|QUIT|BDAT)\b|^\.$|^\*$/;

/** Takes content out by what the dialogue can't know: chunks by their size, DATA's by its end. */
function checkOutput({ sent, events }: Transcript): void {
  let wire = sent.join("");
  const granted = events.filter((event) => event.kind === "content").length;
  let contents = 0;
  while (wire !== "") {
    const end = wire.indexOf("\r\n");
    if (end < 0) fail(5, `a line without its end: ${JSON.stringify(wire.slice(0, 80))}`);
    const line = wire.slice(0, end);
    wire = wire.slice(end + 2);
    if (!COMMAND.test(line) && !/^[A-Za-z0-9+/=]*$/.test(line)) fail(5, `a line that is no command: ${line}`);
    const chunk = /^BDAT (\d+)/.exec(line);
    if (chunk !== null) wire = wire.slice(Number(chunk[1]));
    if (line === "DATA" && contents < granted) {
      contents++;
      const over = wire.startsWith(".\r\n") ? -2 : wire.indexOf("\r\n.\r\n");
      wire = over === -1 ? "" : wire.slice(over + 5);
    }
  }
}

function checkDialogue({ dialogue }: Transcript): void {
  if (dialogue.length > DIALOGUE_OCTETS) fail(6, `${dialogue.length} characters of dialogue`);
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  if (/[\0-\x09\x0b-\x1f\x7f-\x9f]/.test(dialogue)) fail(6, "a control character in the dialogue");
}

function checkSecret({ dialogue }: Transcript, { options }: Case): void {
  const asked = dialogue.indexOf("C: AUTH");
  if (options.settings?.credentials === undefined || asked < 0) return;
  if (dialogue.slice(asked).includes(PASSWORD)) fail(6, "the password is in the dialogue");
}

function runCase(testCase: Case, seed: number): void {
  const { script, options } = testCase;
  const whole = converse(script, options);
  checkEvents(whole, testCase);
  checkOutput(whole);
  checkDialogue(whole);
  checkSecret(whole, testCase);
  const injected = whole.events.some((event) => event.kind === "failed" && event.stage === "starttls");
  const comparable = ({ events, sent, dialogue }: Transcript) => JSON.stringify([events, sent, dialogue]);
  const choose = new Chooser(seed ^ 0x5eed);
  const cut = () => choose.once(3) ? 1 : 1 + choose.below(60);
  const octets = converse(script, { ...options, cut: "octets" });
  const others = { "octet by octet": octets, "cut up": converse(script, { ...options, cut }) };
  for (const [name, transcript] of Object.entries(others)) {
    checkEvents(transcript, testCase);
    // What comes before the command that it would answer is taken for what it is when it comes, and that differs.
    if (injected || octets.early === "yes") continue;
    if (comparable(transcript) !== comparable(whole)) {
      fail(2, `other ${name}: ${comparable(transcript)}\nwhole: ${comparable(whole)}`);
    }
  }
}

drive({
  name: "smtp_client_fuzz",
  make: makeCase,
  run: runCase,
  show: ({ options, script }) => [
    `options: ${JSON.stringify(options).slice(0, 2000)}`,
    ...script.map((text) => `input: ${fromLatin1(text).toHex()}`),
  ],
});
