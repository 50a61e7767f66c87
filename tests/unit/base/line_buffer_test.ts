import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { fromLatin1, latin1 } from "../../../src/base/bytes.ts";
import { LineBuffer } from "../../../src/base/line_buffer.ts";

/** Everything takeLine() gives, as text: a line in quotes, otherwise the kind. */
function take(buffer: LineBuffer, maxOctets: number): string[] {
  const found: string[] = [];
  for (let line = buffer.takeLine(maxOctets); line !== undefined; line = buffer.takeLine(maxOctets)) {
    found.push(line.kind === "line" ? `"${latin1(line.bytes)}"` : line.kind);
  }
  return found;
}

function feed(text: string, options: { maxOctets?: number; step?: number } = {}): string[] {
  const { maxOctets = 100, step = text.length || 1 } = options;
  const buffer = new LineBuffer();
  const found: string[] = [];
  for (let i = 0; i < text.length; i += step) {
    buffer.push(fromLatin1(text.slice(i, i + step)));
    found.push(...take(buffer, maxOctets));
  }
  return found;
}

/** What the same text means, found in the plainest way. */
function model(text: string, maxOctets: number): string[] {
  const found: string[] = [];
  let rest = text;
  for (;;) {
    const end = rest.indexOf("\n");
    if (end < 0) return rest.length >= maxOctets ? [...found, "too-long"] : found;
    const line = rest.slice(0, end + 1);
    rest = rest.slice(end + 1);
    if (line.length > maxOctets) found.push("too-long");
    else if (line.endsWith("\r\n")) found.push(`"${line.slice(0, -2)}"`);
    else found.push("bare-lf");
  }
}

for (const [name, step] of [["whole", undefined], ["byte by byte", 1]] as const) {
  Deno.test(`LineBuffer takes CRLF-ended lines, ${name}`, () => {
    assertEquals(feed("EHLO x\r\n\r\nNOOP\r\npart", { step }), ['"EHLO x"', '""', '"NOOP"']);
  });

  Deno.test(`LineBuffer names a bare LF and never makes a line of what stands before it, ${name}`, () => {
    assertEquals(feed("a\nb\r\n\nc\r\n", { step }), ["bare-lf", '"b"', "bare-lf", '"c"']);
  });

  Deno.test(`LineBuffer leaves a bare CR inside its line, ${name}`, () => {
    assertEquals(feed("a\rb\r\r\n", { step }), ['"a\rb\r"']);
  });

  Deno.test(`LineBuffer reports a long line once and goes on behind it, ${name}`, () => {
    assertEquals(feed("0123456789\r\nok\r\n", { maxOctets: 8, step }), ["too-long", '"ok"']);
  });

  Deno.test(`LineBuffer takes a line of exactly maxOctets with its CRLF, ${name}`, () => {
    assertEquals(feed("012345\r\n0123456\r\n", { maxOctets: 8, step }), ['"012345"', "too-long"]);
  });
}

Deno.test("LineBuffer finds the same lines however the octets are cut", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "\r", "\n", "\r\n"), maxLength: 40 });
  fc.assert(
    fc.property(
      text,
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 3, max: 12 }),
      (text, step, maxOctets) => {
        assertEquals(feed(text, { maxOctets, step }), model(text, maxOctets));
      },
    ),
  );
});

Deno.test("LineBuffer keeps no more than maxOctets of an unfinished line", () => {
  const buffer = new LineBuffer();
  for (let i = 0; i < 1000; i++) {
    buffer.push(fromLatin1("xxxxxxx"));
    take(buffer, 64);
    assertEquals(buffer.size < 64, true);
  }
});

Deno.test("LineBuffer.takeBytes() and takeLine() share one stream of octets", () => {
  const buffer = new LineBuffer();
  buffer.push(fromLatin1("BDAT 4\r\nab\r\nNOOP\r\n"));
  assertEquals(take1(buffer), "BDAT 4");
  assertEquals(latin1(buffer.takeBytes(4)), "ab\r\n");
  assertEquals(take1(buffer), "NOOP");
  assertEquals(buffer.takeBytes(10).length, 0);
});

Deno.test("LineBuffer.takeBytes() gives every octet once, in order, between takeLine() calls that found nothing", () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(cuts, fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 20 }), (pushes, takes) => {
      const buffer = new LineBuffer();
      let pushed = "";
      let taken = "";
      pushes.forEach((length, i) => {
        const piece = String.fromCharCode(65 + i).repeat(length);
        pushed += piece;
        buffer.push(fromLatin1(piece));
        buffer.takeLine(1000);
        taken += latin1(buffer.takeBytes(takes[i] ?? 1));
      });
      assertEquals(taken + latin1(buffer.takeBytes(1000)), pushed);
    }),
  );
});

Deno.test("LineBuffer.unshift() puts octets in front, and a line may begin in them", () => {
  const buffer = new LineBuffer();
  buffer.push(fromLatin1("OP\r\n"));
  buffer.unshift(fromLatin1("NO"));
  assertEquals(buffer.size, 6);
  assertEquals(take1(buffer), "NOOP");
  buffer.unshift(fromLatin1("QUIT\r\n"));
  assertEquals(take1(buffer), "QUIT");
});

Deno.test("LineBuffer.clear() forgets a line begun before it", () => {
  const buffer = new LineBuffer();
  buffer.push(fromLatin1("STARTTLS\r\nMAIL FROM:<a"));
  assertEquals(take1(buffer), "STARTTLS");
  buffer.clear();
  assertEquals(buffer.size, 0);
  buffer.push(fromLatin1("EHLO x\r\n"));
  assertEquals(take1(buffer), "EHLO x");
});

Deno.test("LineBuffer.clear() ends the dropping of a line that was too long", () => {
  const buffer = new LineBuffer();
  buffer.push(fromLatin1("x".repeat(50)));
  assertEquals(buffer.takeLine(10), { kind: "too-long" });
  buffer.clear();
  buffer.push(fromLatin1("NOOP\r\n"));
  assertEquals(take1(buffer), "NOOP");
});

function take1(buffer: LineBuffer): string {
  const line = buffer.takeLine(100);
  return line?.kind === "line" ? latin1(line.bytes) : String(line?.kind);
}
