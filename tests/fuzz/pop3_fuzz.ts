/**
 * Fuzzes the POP3 core: `deno run -A tests/fuzz/pop3_fuzz.ts [--seconds N] [--seed N]`.
 *
 * Invariants, whatever a client sends and however its octets and the message's octets are cut:
 *  1. nothing throws;
 *  2. whole, byte by byte and in random pieces, the same events and the same output come of it;
 *  3. the output is well-formed: a reply is one line of at most 512 octets, or a first line, stuffed lines and a dot;
 *  4. what RETR and TOP sent is, unstuffed, the message or the part of it that TOP means;
 *  5. there is one `update` at most, nothing but `close` follows it, and its indexes rise and exist;
 *  6. where clear text is refused, no password reaches the server before TLS;
 *  7. output never gathers beyond what POP3_FLUSH_OCTETS, one slice and one message allow.
 *
 * A failure prints the seed of its input and the input as hex; `--seed N` with that seed makes the same input first.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Chooser, drive } from "./drive.ts";
import { fromLatin1, latin1 } from "../../src/base/bytes.ts";
import { POP3_FLUSH_OCTETS } from "../../src/base/limits.ts";
import { LANGUAGES } from "../../src/pop3/languages.ts";
import type { Pop3Settings } from "../../src/pop3/session.ts";
import { byteByByte, type Conversation, hold, split, type Transcript } from "../unit/pop3/conversation.ts";

/** A slice of a listing and the replies to one piece of input. */
const SLACK_OCTETS = 64 * 1024;

interface Case {
  /** Before TLS, and after it where STLS was among it. */
  readonly stretches: readonly Uint8Array[];
  readonly settings: Partial<Pop3Settings>;
  readonly tls: string | undefined;
  readonly messages: readonly string[];
  readonly contentOctets: number;
}

// ---------------------------------------------------------------- making cases

const PLAIN = btoa("\0alice\0secret");
const LINES = [
  "USER alice",
  "PASS secret",
  "PASS wrong",
  "USER busy",
  "AUTH PLAIN",
  `AUTH PLAIN ${PLAIN}`,
  "AUTH PLAIN =",
  "AUTH LOGIN",
  "AUTH SCRAM-SHA-256",
  "AUTH",
  PLAIN,
  "*",
  "",
  "STLS",
  "UTF8",
  "CAPA",
  "LANG",
  "LANG de",
  "LANG fr-CA",
  "LANG *",
  "LANG tlh",
  "STAT",
  "LIST",
  "LIST 1",
  "UIDL",
  "UIDL 2",
  "RETR 1",
  "RETR 2",
  "RETR 3",
  "RETR 99",
  "TOP 1 0",
  "TOP 2 1",
  "TOP 3 2",
  "TOP 2 99999",
  "DELE 1",
  "DELE 2",
  "RSET",
  "NOOP",
  "QUIT",
  "APOP a b",
  "X",
];
const PIECES = [
  "\r\n",
  "\n",
  "\r",
  ".",
  "..",
  "\r\n.\r\n",
  "a",
  "Subject: x",
  "\r\n\r\n",
  "\xe9",
  "\0",
  "line",
];

function makeLine(choose: Chooser): string {
  const line = choose.random.fraction() < 0.3 ? choose.oneOf(LINES) : choose.oneOf(LINES.slice(20, 38));
  const luck = choose.random.fraction();
  if (luck < 0.9) return `${line}\r\n`;
  if (luck < 0.93) return `${line}\n`;
  if (luck < 0.95) return `${line}${"x".repeat(choose.below(600))}\r\n`;
  if (luck < 0.98) return latin1(choose.random.bytes(choose.below(20)));
  const at = choose.below(line.length);
  return `${line.slice(0, at)}${choose.oneOf(PIECES)}${line.slice(at)}\r\n`;
}

function makeCase(choose: Chooser): Case {
  const login = choose.random.fraction() < 0.8 ? "USER alice\r\nPASS secret\r\n" : "";
  const first = choose.several(12, () => makeLine(choose)).join("");
  const second = choose.several(25, () => makeLine(choose)).join("");
  return {
    stretches: choose.random.fraction() < 0.5
      ? [login + first + second].map(fromLatin1)
      : [first, login + second].map(fromLatin1),
    settings: {
      lineOctets: choose.oneOf([64, 255, 1024]),
      errors: choose.oneOf([1, 3, 20]),
      stls: choose.oneOf(["offered", "none"] as const),
      login: choose.oneOf(["tls-only", "always", "always"] as const),
      mechanisms: choose.oneOf([["PLAIN", "LOGIN", "SCRAM-SHA-256"], ["SCRAM-SHA-256"], []]),
      loginAttempts: choose.oneOf([1, 3]),
    },
    tls: choose.random.fraction() < 0.2 ? "TLSv1.3" : undefined,
    messages: choose.several(4, () => choose.several(12, () => choose.oneOf(PIECES)).join("")),
    contentOctets: choose.oneOf([1, 2, 3, 7, 1000]),
  };
}

// ---------------------------------------------------------------- invariants

function numbered(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/[0-9]+/g, "[0-9]+");
}

/** First lines after which more lines follow. */
const MULTI_LINE = new RegExp(
  `^\\+OK (?:${
    LANGUAGES.flatMap(({ texts }) => [
      texts.capabilityList,
      texts.mechanismList,
      texts.languageList,
      texts.uniqueIds,
      numbered(texts.listing(1, 1)),
    ]).join("|")
  })$`,
);
const CONTENT = new RegExp(
  `^\\+OK (?:${LANGUAGES.flatMap(({ texts }) => [numbered(texts.content(1)), texts.top]).join("|")})$`,
);

/** Reads replies as a client does, and gives the messages among them. */
function readReplies(output: string): string[] {
  const lines = output.split("\r\n");
  assertEquals(lines.pop(), "", "output does not end with a line end");
  const contents: string[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    assert(
      /^(?:\+OK(?: [^\r\n\0]*)?|-ERR [^\r\n\0]*|\+ [A-Za-z0-9+/=]*)$/.test(line),
      `not a reply: ${line}`,
    );
    assert(line.length <= 510, `a reply of ${line.length} octets`);
    const text = new TextDecoder("utf-8", { fatal: true }).decode(fromLatin1(line));
    const kind = CONTENT.test(text) ? "content" : MULTI_LINE.test(text) ? "lines" : "line";
    if (kind === "line") continue;
    let content = "";
    for (i++; lines[i] !== "."; i++) {
      assert(i < lines.length, `no dot ends the lines after ${line}`);
      assert(!/^\.(?!\.)/.test(lines[i]!), `a dot was not stuffed in ${lines[i]}`);
      content += `${lines[i]!.replace(/^\./, "")}\r\n`;
    }
    if (kind === "content") contents.push(content);
  }
  return contents;
}

/** What TOP or RETR means, written down another way than in the core. */
function expectedContent(message: string, lines: number | "all"): string {
  const complete = message === "" || message.endsWith("\r\n") ? message : `${message}\r\n`;
  if (lines === "all") return complete;
  const all = complete.split("\r\n").slice(0, -1);
  const blank = all.indexOf("");
  const kept = blank < 0 ? all : all.slice(0, blank + 1 + lines);
  return kept.map((line) => `${line}\r\n`).join("");
}

function checkEvents(transcript: Transcript, drop: Case): void {
  const kinds = transcript.events.map((event) => event.kind);
  let secured = drop.tls !== undefined || drop.settings.login === "always";
  for (const [i, event] of transcript.events.entries()) {
    if (event.kind === "stls") secured = true;
    if (event.kind === "login") assert(secured, "a password came before TLS");
    if (event.kind === "auth") {
      assert(secured || event.mechanism.startsWith("SCRAM-"), "clear text before TLS");
    }
    if (event.kind !== "update") continue;
    assertEquals(kinds.slice(i + 1), ["close"]);
    for (const [j, index] of event.deleted.entries()) {
      assert(index > (event.deleted[j - 1] ?? -1) && index < drop.messages.length, "wrong index in update");
    }
  }
  assertEquals(kinds.includes("close"), transcript.end === "closed");
}

function check(drop: Case, choose: Chooser): void {
  const { stretches, ...rest } = drop;
  const whole = hold({ ...rest, pieces: stretches.map((stretch) => [stretch]) });
  const splits: Conversation[] = [
    { ...rest, pieces: stretches.map(byteByByte), contentOctets: 1000 },
    { ...rest, pieces: stretches.map((stretch) => split(stretch, choose.below(2 ** 32))) },
  ];
  for (const other of splits) {
    const { events, output, end } = hold(other);
    assertEquals({ events, output, end }, { events: whole.events, output: whole.output, end: whole.end });
  }
  const retrieved = whole.events.filter((event) => event.kind === "retrieve");
  assertEquals(
    readReplies(whole.output),
    retrieved.map(({ index, lines }) => expectedContent(drop.messages[index]!, lines)),
  );
  checkEvents(whole, drop);
  assert(
    whole.peakOctets <= POP3_FLUSH_OCTETS + SLACK_OCTETS,
    `${whole.peakOctets} octets of output at once`,
  );
}

drive({
  name: "pop3_fuzz",
  make: (seed) => makeCase(new Chooser(seed)),
  run: (drop, seed) => check(drop, new Chooser(seed ^ 0x5eed)),
  show: ({ stretches, messages, ...rest }) => [
    ...stretches.map((stretch) => `input: ${stretch.toHex()}`),
    ...messages.map((message) => `message: ${fromLatin1(message).toHex()}`),
    JSON.stringify(rest),
  ],
});
