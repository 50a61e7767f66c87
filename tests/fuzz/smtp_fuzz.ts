/**
 * Fuzzes the SMTP session: `deno run -A tests/fuzz/smtp_fuzz.ts [--seconds N] [--seed N]`.
 *
 * Invariants, for any octets and any answers of the server's:
 * 1. Nothing throws.
 * 2. Input fed whole, octet by octet and cut up at random gives the same events, the same content and the same output.
 * 3. The output is well-formed replies (RFC 5321 4.2), each line within 512 octets.
 * 4. When the session wants more, no more than an unfinished line waits in it.
 * 5. Events come in an order that a server can rely on: content only within a message, a message only after an accepted
 *    recipient, each opened transaction closed by `data-end` or `reset`, nothing after `close`.
 * 6. No content beyond the limit is given out, and a message without a problem is given out whole.
 * 7. Where a message is stored, its content holds no bare CR or LF.
 * 8. What MAIL and RCPT ask for holds no control character, and only what the session offers.
 *
 * Inputs are made by a grammar of SMTP sessions, then mutated. A failure prints the seed of its input and the input
 * as hex; `--seed N` with that seed makes the same input first.
 *
 * @module
 */
import { Chooser, drive } from "./drive.ts";
import { AUTH_LINE_OCTETS } from "../../src/base/limits.ts";
import { concat, fromLatin1 } from "../../src/base/bytes.ts";
import * as replies from "../../src/smtp/replies.ts";
import type { SmtpEvent, SmtpSettings } from "../../src/smtp/session.ts";
import { hasBareNewline } from "../unit/smtp/content_reference.ts";
import { malformedReply, SETTINGS, talk, type TalkOptions, type Transcript } from "../unit/smtp/harness.ts";

const ADDRESSES = [
  ...[
    "<a@b.example>",
    "<>",
    "<nobody@b.example>",
    "<full@b.example>",
    "<later@b.example>",
    "<postmaster>",
    "a@b.c",
  ],
  ...[
    "<@x.example,@y.example:a@b.example>",
    '<"a b"@c.example>',
    "<\xc3\xbc@b.example>",
    "<a@[IPv6:::1]>",
    "<x>",
    "<a@b",
    "<\xff@b>",
  ],
];
const PARAMETERS = [
  ...[
    "SIZE=10",
    "SIZE=100000",
    "BODY=8BITMIME",
    "BODY=BINARYMIME",
    "SMTPUTF8",
    "AUTH=<>",
    "AUTH=+41",
    "RET=HDRS",
    "ret=full",
    "ENVID=a+2Bb",
    "ENVID=+0D+0A",
    "REQUIRETLS",
    "HOLDFOR=60",
    "HOLDFOR=9999999",
    "HOLDUNTIL=2026-11-24T14:00:00Z",
    "HOLDUNTIL=2026-02-30T14:00:00+01:00",
    "BY=60;RT",
    "BY=-5;n",
    "BY=0;R",
    "MT-PRIORITY=-9",
    "MT-PRIORITY=10",
    "NOTIFY=NEVER",
    "NOTIFY=SUCCESS,DELAY",
    "NOTIFY=NEVER,DELAY",
    "ORCPT=rfc822;a+2Bb@c.example",
    "ORCPT=utf-8;\\x{FC}@c.example",
    "ORCPT=utf-8;\xc3\xbc@c.example",
    "ORCPT=rfc822;+0D+0A",
    "=",
    "x=\xff",
  ],
];
const CONTENT = [
  ...[
    "Subject: x\r\n\r\n",
    "line\r\n",
    ".\r\n",
    "..\r\n",
    ".",
    "\r",
    "\n",
    "\r\n",
    "\r\n.\r\n",
    "\n.\n",
    "\r\n.\n",
    "\r.\r",
    "\0",
  ],
  ...["\xff\xfe", "x".repeat(1200), "MAIL FROM:<evil@x.example>\r\n", ".\r", "y".repeat(40)],
];
const AUTH_LINES = [
  ...[
    "AUTH PLAIN",
    "AUTH PLAIN =",
    "AUTH PLAIN AGFsaWNlAHNlY3JldA==",
    "AUTH LOGIN",
    "AUTH NONE",
    "AUTH PLAIN ?",
    "*",
    "QUJD",
  ],
  ...["", "AGFsaWNlAHNlY3JldA==", "A".repeat(600)],
];
const PLAIN_LINES = [
  ...[
    "RSET",
    "NOOP",
    "NOOP x",
    "QUIT",
    "HELP",
    "HELP MAIL",
    "VRFY x",
    "EXPN y",
    "VRFY",
    "GET / HTTP/1.1",
    "FOO",
    "",
    "\x00\x01",
  ],
  ...[
    "STARTTLS",
    "STARTTLS x",
    "EHLO x",
    "HELO \xe4",
    "EHLO",
    "DATA",
    "DATA x",
    "BDAT",
    "BDAT x",
    "x".repeat(600),
  ],
];

function content(choose: Chooser): string {
  let text = "";
  for (let n = choose.below(8); n > 0; n--) text += choose.oneOf(CONTENT);
  return text;
}

function lineEnd(choose: Chooser): string {
  return choose.once(40) ? choose.oneOf(["\n", "\r", "\r\r\n", " \r\n", ""]) : "\r\n";
}

function chunk(choose: Chooser): string {
  const text = content(choose);
  const octets = choose.once(15) ? text.length + choose.below(5) - 2 : text.length;
  return `BDAT ${Math.max(0, octets)}${choose.oneOf(["", "", " LAST"])}${lineEnd(choose)}${text}`;
}

function step(choose: Chooser): string {
  switch (choose.below(12)) {
    case 0:
      return choose.oneOf(PLAIN_LINES) + lineEnd(choose);
    case 1:
      return choose.oneOf(AUTH_LINES) + lineEnd(choose);
    case 2:
      return `RCPT TO:${choose.oneOf(ADDRESSES)}${parameters(choose)}${lineEnd(choose)}`;
    case 3:
      return `DATA${lineEnd(choose)}${content(choose)}\r\n.${lineEnd(choose)}`;
    case 4:
      return chunk(choose);
    default:
      return transaction(choose);
  }
}

function parameters(choose: Chooser): string {
  let text = "";
  for (let n = choose.below(3); n >= 0; n--) text += ` ${choose.oneOf(PARAMETERS)}`;
  return text;
}

function transaction(choose: Chooser): string {
  let text = choose.once(4) ? `EHLO x${lineEnd(choose)}` : "";
  const asked = choose.once(3) ? parameters(choose) : "";
  text += `MAIL FROM:${choose.oneOf(ADDRESSES)}${asked}${lineEnd(choose)}`;
  for (let n = choose.below(4); n >= 0; n--) {
    const asked = choose.once(6) ? parameters(choose) : "";
    text += `RCPT TO:${choose.oneOf(ADDRESSES)}${asked}${lineEnd(choose)}`;
  }
  if (choose.once(3)) {
    for (let n = choose.below(3); n >= 0; n--) text += chunk(choose);
    return text;
  }
  return `${text}DATA\r\n${content(choose)}${choose.once(10) ? "" : "\r\n"}.\r\n`;
}

function mutate(octets: Uint8Array, choose: Chooser): Uint8Array {
  if (octets.length === 0) return octets;
  const at = choose.below(octets.length);
  const until = Math.min(octets.length, at + 1 + choose.below(8));
  switch (choose.below(4)) {
    case 0: {
      const changed = octets.slice();
      changed[at] = choose.oneOf([0, 9, 10, 13, 32, 46, 60, 62, 127, 128, 255, choose.below(256)]);
      return changed;
    }
    case 1:
      return concat([octets.subarray(0, at), octets.subarray(until)]);
    case 2:
      return concat([octets.subarray(0, until), octets.subarray(at)]);
    default:
      return concat([
        octets.subarray(0, at),
        fromLatin1(choose.oneOf(["\r", "\n", "\r\n", ".", " ", "<", "\0"])),
        octets.subarray(at),
      ]);
  }
}

interface Case {
  readonly segments: readonly Uint8Array[];
  readonly options: TalkOptions;
}

function makeCase(seed: number): Case {
  const choose = new Chooser(seed);
  const segments: Uint8Array[] = [];
  for (let n = choose.below(3); n >= 0; n--) {
    let text = choose.once(8) ? "" : "EHLO client\r\n";
    for (let steps = choose.below(5); steps >= 0; steps--) text += step(choose);
    if (n > 0) text += "STARTTLS\r\n" + content(choose);
    let octets = fromLatin1(text);
    if (choose.once(2)) { for (let m = choose.below(4); m >= 0; m--) octets = mutate(octets, choose); }
    segments.push(octets);
  }
  const settings: Partial<SmtpSettings> = {
    role: choose.oneOf(["relay", "relay", "submission"]),
    messageOctets: choose.oneOf([10, 100, 2000]),
    recipients: choose.oneOf([1, 3, 100]),
    errors: choose.oneOf([0, 2, 20]),
    bareNewline: choose.oneOf(["refuse", "repair"]),
    starttls: choose.oneOf(["offered", "offered", "none"]),
    auth: choose.oneOf(["never", "tls-only", "always"]),
    futureRelease: choose.oneOf([undefined, { maxSeconds: 3600, latestMs: Date.UTC(2027, 0, 1) }]),
  };
  const refused = choose.oneOf(["none", "none", "mail", "rcpt", "data", "data-end", "vrfy", "auth"]);
  const refusal = choose.oneOf([replies.localError, replies.relayingDenied, replies.shuttingDown]);
  const answer = (event: SmtpEvent) => event.kind === refused ? refusal : undefined;
  return { segments, options: { settings, answer, tls: choose.once(4) ? "TLSv1.3" : undefined } };
}

function fail(invariant: number, what: string): never {
  throw new Error(`invariant ${invariant}: ${what}`);
}

/** Checks the order of the events of one session; the answers tell what was accepted. */
function checkOrder({ events, contents }: Transcript, { options }: Case): void {
  const maxOctets = options.settings!.messageOctets!;
  let open: "no" | "mail" | "data" = "no";
  let message = 0;
  let closed = false;
  for (const event of events) {
    if (closed) fail(5, `${event.kind} after close`);
    checkAsked(event, options);
    if (event.kind === "mail" && open !== "no") fail(5, "mail within a transaction");
    if (event.kind === "rcpt" && open !== "mail") fail(5, "rcpt outside of a transaction");
    if (event.kind === "data" && open !== "mail") fail(5, "data outside of a transaction");
    if (event.kind === "reset" && open === "no") fail(5, "reset without a transaction");
    const refused = options.answer!(event) !== undefined;
    if (event.kind === "mail" && !refused && event.reversePath?.local !== "later") open = "mail";
    if (event.kind === "data" && !refused) open = "data";
    if (event.kind === "data-end") {
      if (open !== "data") fail(5, "data-end without data");
      checkContent(contents[message++]!, { event, maxOctets });
    }
    if (event.kind === "data-end" || event.kind === "reset") open = "no";
    closed = event.kind === "close";
  }
}

function checkAsked(event: SmtpEvent, { settings, tls }: TalkOptions): void {
  if (event.kind !== "mail" && event.kind !== "rcpt") return;
  const { requests } = event;
  // deno-lint-ignore no-control-regex -- control characters are what must not be there
  if (/[\u0000-\u001f\u007f]/.test(Object.values(requests ?? {}).join())) fail(8, "a control character");
  if (event.kind === "rcpt") return;
  const { hold, priority, requireTls } = event.requests;
  if (hold !== undefined && settings!.futureRelease === undefined) fail(8, "holding is not offered");
  if (hold?.kind === "for" && hold.seconds > settings!.futureRelease!.maxSeconds) fail(8, "held too long");
  if (priority !== undefined && settings!.role !== "submission") fail(8, "a stranger's priority");
  if (requireTls && tls === undefined && settings!.starttls === "none") fail(8, "REQUIRETLS in the clear");
}

function checkContent(
  given: string,
  { event, maxOctets }: { event: Extract<SmtpEvent, { kind: "data-end" }>; maxOctets: number },
): void {
  if (given.length > maxOctets) fail(6, `${given.length} octets given out of at most ${maxOctets}`);
  if (event.problem !== undefined) return;
  if (given.length !== event.octets) fail(6, `${given.length} octets given out of ${event.octets}`);
  if (hasBareNewline(given)) fail(7, "a stored message holds a bare CR or LF");
}

function runCase(testCase: Case, seed: number): void {
  const { segments, options } = testCase;
  const commandLineOctets = SETTINGS.commandLineOctets;
  const idle: TalkOptions["idle"] = (session) => {
    const most = session.waitingOctets;
    if (most >= AUTH_LINE_OCTETS) fail(4, `${most} octets wait`);
    if (most >= commandLineOctets && session.state === "greeted") fail(4, `${most} octets wait before AUTH`);
  };
  const whole = talk(segments, { ...options, idle });
  const malformed = malformedReply(whole.output);
  if (malformed !== undefined) fail(3, malformed);
  checkOrder(whole, testCase);
  const expected = JSON.stringify([whole.events, whole.contents, whole.voided]);
  const choose = new Chooser(seed ^ 0x5eed);
  const cut = () => choose.once(3) ? 1 : 1 + choose.below(60);
  for (const [name, other] of [["octet by octet", "octets"], ["cut up", cut]] as const) {
    const transcript = talk(segments, { ...options, cut: other, idle });
    if (transcript.output !== whole.output) {
      fail(2, `other output ${name}: ${JSON.stringify(transcript.output)}`);
    }
    const got = JSON.stringify([transcript.events, transcript.contents, transcript.voided]);
    if (got !== expected) fail(2, `other events ${name}: ${got}\nwhole: ${expected}`);
  }
}

drive({
  name: "smtp_fuzz",
  make: makeCase,
  run: runCase,
  show: ({ options, segments }) => [
    `settings: ${JSON.stringify(options.settings)} tls: ${options.tls}`,
    ...segments.map((segment) => `input: ${segment.toHex()}`),
  ],
});
