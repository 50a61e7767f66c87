import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { concat, fromLatin1, latin1 } from "../../../src/base/bytes.ts";
import { DotStuffer, TopCounter } from "../../../src/pop3/content.ts";

/** Message text from the octets that matter here, in any order. */
const message = fc.array(fc.constantFrom("\r", "\n", "\r\n", ".", "a", "\r\n.", "\r\n\r\n", "line"), {
  maxLength: 30,
})
  .map((pieces) => pieces.join(""));
const cuts = fc.array(fc.nat(6), { maxLength: 30 });

/** Cuts octets into pieces of these lengths, some of them empty; what is left is the last piece. */
function cut(octets: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const length of lengths) {
    pieces.push(octets.subarray(at, at + length));
    at = Math.min(octets.length, at + length);
  }
  pieces.push(octets.subarray(at));
  return pieces;
}

/** What a client makes of a multi-line response (RFC 1939 3): the lines, unstuffed, and what follows. */
function receive(response: string): { readonly message: string; readonly rest: string } {
  const lines = response.split("\r\n");
  const end = lines.indexOf(".");
  const unstuffed = lines.slice(0, end).map((line) => line.startsWith(".") ? line.slice(1) : line);
  return {
    message: unstuffed.map((line) => `${line}\r\n`).join(""),
    rest: lines.slice(end + 1).join("\r\n"),
  };
}

function complete(text: string): string {
  return text === "" || text.endsWith("\r\n") ? text : `${text}\r\n`;
}

Deno.test("DotStuffer gives octets that a client turns back into the message, in any split", () => {
  fc.assert(
    fc.property(message, cuts, (text, lengths) => {
      const stuffer = new DotStuffer();
      const sent = latin1(concat(cut(fromLatin1(text), lengths).map((piece) => stuffer.stuff(piece))));
      assertEquals(receive(sent + stuffer.end()), { message: complete(text), rest: "" });
    }),
    { numRuns: 2000 },
  );
});

Deno.test("DotStuffer.stuff() passes on what needs no dots", () => {
  const stuffer = new DotStuffer();
  const part = fromLatin1("no dot begins a line.\r\nnot here .\n.\r.");
  assert(stuffer.stuff(part) === part);
});

Deno.test("DotStuffer.stuff() leaves what it was given unchanged", () => {
  const part = fromLatin1(".\r\n.\r\n");
  assertEquals(latin1(new DotStuffer().stuff(part)), "..\r\n..\r\n");
  assertEquals(latin1(part), ".\r\n.\r\n");
});

Deno.test("TopCounter cuts after header, blank line and n lines, in any split", () => {
  fc.assert(
    fc.property(message, cuts, fc.nat(4), (text, lengths, lines) => {
      const counter = new TopCounter(lines);
      let sent = "";
      for (const piece of cut(fromLatin1(text), lengths)) {
        sent += latin1(piece.subarray(0, counter.count(piece)));
      }
      assertEquals(sent, expectedTop(text, lines));
      assertEquals(counter.done, sent !== text || isCompleteTop(text, lines));
    }),
    { numRuns: 2000 },
  );
});

function expectedTop(text: string, lines: number): string {
  const headerEnd = text.startsWith("\r\n") ? 2 : text.indexOf("\r\n\r\n") + 4;
  if (headerEnd === 3) return text;
  const body = text.slice(headerEnd).split("\r\n");
  if (body.length <= lines) return text;
  return text.slice(0, headerEnd) + body.slice(0, lines).map((line) => `${line}\r\n`).join("");
}

function isCompleteTop(text: string, lines: number): boolean {
  const headerEnd = text.startsWith("\r\n") ? 2 : text.indexOf("\r\n\r\n") + 4;
  return headerEnd !== 3 && text.slice(headerEnd).split("\r\n").length > lines;
}
