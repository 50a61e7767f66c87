import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { concat, fromLatin1, latin1 } from "../../../src/base/bytes.ts";
import { ContentDecoder, type ContentOptions } from "../../../src/smtp/content.ts";
import { decodeDotted, hasBareNewline, repairNewlines } from "./content_reference.ts";
import { both, codes, EHLO, ENVELOPE } from "./harness.ts";

const OPTIONS: ContentOptions = { format: "dotted", bareNewline: "refuse", maxOctets: 1000 };

interface Decoded {
  readonly content: string;
  readonly octets: number;
  readonly problem: string;
  readonly ended: boolean;
  /** Octets used of what was given. */
  readonly used: number;
}

/** Decodes text cut up at the places given. */
function decode(sent: string, options: Partial<ContentOptions> = {}, cuts: readonly number[] = []): Decoded {
  const decoder = new ContentDecoder({ ...OPTIONS, ...options });
  const given: Uint8Array[] = [];
  const take = () => {
    const content = decoder.takeContent();
    if (content !== undefined) given.push(content);
  };
  let used = 0;
  const edges = [...cuts].filter((cut) => cut > 0 && cut < sent.length).sort((a, b) => a - b);
  for (const [i, to] of [...edges, sent.length].entries()) {
    if (decoder.ended) break;
    used += decoder.push(fromLatin1(sent.slice(edges[i - 1] ?? 0, to)));
    take();
  }
  if (options.format === "counted") {
    decoder.end();
    take();
  }
  const { octets, problem, ended } = decoder;
  return { content: latin1(concat(given)), octets, problem, ended, used };
}

/** Decodes whole and octet by octet, which must be one. */
function decodeBoth(sent: string, options: Partial<ContentOptions> = {}): Decoded {
  const whole = decode(sent, options);
  assertEquals(decode(sent, options, Array.from(sent, (_, i) => i)), whole);
  return whole;
}

Deno.test("ContentDecoder ends at CRLF.CRLF and leaves what follows", () => {
  assertEquals(decodeBoth("a\r\n.\r\nNOOP\r\n"), {
    content: "a\r\n",
    octets: 3,
    problem: "none",
    ended: true,
    used: 6,
  });
  assertEquals(decodeBoth(".\r\nNOOP\r\n"), {
    content: "",
    octets: 0,
    problem: "none",
    ended: true,
    used: 3,
  });
  assertEquals(decodeBoth("\r\n.\r\n").content, "\r\n");
});

Deno.test("ContentDecoder takes the stuffed dot away, and only that", () => {
  assertEquals(decodeBoth("..\r\n.a\r\na.\r\n...\r\n.. .\r\n.\r\n").content, ".\r\na\r\na.\r\n..\r\n. .\r\n");
  assertEquals(decodeBoth(".", { format: "counted" }).content, ".");
});

Deno.test("ContentDecoder passes NUL, 8-bit and long lines untouched", () => {
  const content = "\0\x01\x7f\x80\xff" + "x".repeat(900) + "\r\n";
  assertEquals(decodeBoth(content + ".\r\n").content, content);
});

Deno.test("ContentDecoder ends at no mixture with bare CR or LF (SMTP smuggling)", () => {
  for (
    const end of [
      "\n.\n",
      "\n.\r\n",
      "\r\n.\n",
      "\r.\r",
      "\r.\r\n",
      "\r\n.\r",
      "\r\n.\r\r\n",
      "\n\n.\r\n",
      "\r\0\n.\r\n",
    ]
  ) {
    for (const bareNewline of ["refuse", "repair"] as const) {
      const sent = `a${end}MAIL FROM:<x@y.z>\r\n.\r\n`;
      const decoded = decodeBoth(sent, { bareNewline });
      assertEquals(decoded.used, sent.length, JSON.stringify(end));
      assertEquals(decoded.problem, bareNewline === "refuse" ? "bare-newline" : "none", JSON.stringify(end));
      if (bareNewline === "repair") assert(decoded.content.includes("MAIL FROM"));
    }
  }
});

Deno.test("ContentDecoder repairs bare newlines, also at the edges of what comes", () => {
  const repair = (sent: string) => decodeBoth(sent + "\r\n.\r\n", { bareNewline: "repair" }).content;
  assertEquals(repair("a\nb"), "a\r\nb\r\n");
  assertEquals(repair("a\rb"), "a\r\nb\r\n");
  assertEquals(repair("\n\n\r\r\n\r"), "\r\n\r\n\r\n\r\n\r\n\r\n");
  assertEquals(repair(".\nx"), "\r\nx\r\n");
  assertEquals(repair(".\rx"), "\r\nx\r\n");
  assertEquals(repair("a\n.b"), "a\r\n.b\r\n");
});

Deno.test("ContentDecoder gives out nothing behind the first bare newline when it refuses", () => {
  assertEquals(decodeBoth("ab\ncd\r\n.\r\n").content, "ab");
  assertEquals(decodeBoth("ab\rcd\r\n.\r\n").content, "ab\r");
});

Deno.test("ContentDecoder gives a view where nothing had to be changed", () => {
  const sent = fromLatin1("a\r\nb\r\n.\r\n");
  const decoder = new ContentDecoder(OPTIONS);
  decoder.push(sent);
  assertEquals(decoder.takeContent()!.buffer, sent.buffer);
});

Deno.test("ContentDecoder says that a CR at the very end of counted content is bare", () => {
  assertEquals(decodeBoth("a\r", { format: "counted" }).problem, "bare-newline");
  assertEquals(decodeBoth("a\r", { format: "counted", bareNewline: "repair" }).content, "a\r\n");
  assertEquals(decodeBoth("a\r\n.\r\nb", { format: "counted" }).content, "a\r\n.\r\nb");
});

Deno.test("ContentDecoder counts all and gives out no more than the limit", () => {
  const over = decodeBoth("123\r\n..456\r\n.\r\n", { maxOctets: 7 });
  assertEquals(over, { content: "123\r\n.4", octets: 11, problem: "too-big", ended: true, used: 15 });
  assertEquals(decodeBoth("\n\n\n\r\n.\r\n", { maxOctets: 3, bareNewline: "repair" }).content, "\r\n\r");
});

const wire = fc.array(
  fc.constantFrom("\r", "\n", "\r\n", ".", "\r\n.", "\r\n.\r", "\n.\n", "a", "\0", "\xff", "x".repeat(40)),
  { maxLength: 40 },
).map((parts) => parts.join(""));
const cuts = fc.array(fc.nat(200), { maxLength: 10 });

Deno.test("ContentDecoder does what the plain definition says, however the octets are cut up", () => {
  fc.assert(
    fc.property(
      wire,
      cuts,
      fc.constantFrom("refuse" as const, "repair" as const),
      (text, at, bareNewline) => {
        const sent = text + "\r\n.\r\nrest";
        const expected = decodeDotted(sent)!;
        const decoded = decode(sent, { bareNewline, maxOctets: 1e6 }, at);
        assertEquals(decoded.used <= sent.length && decoded.ended, true);
        if (bareNewline === "repair") assertEquals(decoded.content, repairNewlines(expected.content));
        else if (hasBareNewline(expected.content)) assertEquals(decoded.problem, "bare-newline");
        else assertEquals([decoded.content, decoded.octets], [expected.content, expected.content.length]);
        assertEquals(decode(sent, { bareNewline, maxOctets: 1e6 }).used, expected.used);
      },
    ),
    { numRuns: 2000 },
  );
});

Deno.test("ContentDecoder's limit cuts the same content short, however the octets are cut up", () => {
  fc.assert(fc.property(wire, cuts, fc.nat(60), (text, at, maxOctets) => {
    const sent = text + "\r\n.\r\n";
    const expected = repairNewlines(decodeDotted(sent)!.content);
    const decoded = decode(sent, { bareNewline: "repair", maxOctets }, at);
    assertEquals(decoded.content, expected.slice(0, maxOctets));
    assertEquals(decoded.octets, expected.length);
  }));
});

Deno.test("a message with bare newlines is refused with 550, and the session goes on in step", () => {
  const transcript = both(EHLO + ENVELOPE + "DATA\r\na\n.\nMAIL FROM:<x@y.z>\r\n.\r\nNOOP\r\n");
  assertEquals(codes(transcript).slice(3), ["354", "550 5.6.0", "250 2.0.0"]);
  const repaired = both(EHLO + ENVELOPE + "DATA\r\na\n.\nb\r\n.\r\nNOOP\r\n", {
    settings: { bareNewline: "repair" },
  });
  assertEquals(codes(repaired).slice(3), ["354", "250 2.0.0", "250 2.0.0"]);
  assertEquals(repaired.contents, ["a\r\n.\r\nb\r\n"]);
});
