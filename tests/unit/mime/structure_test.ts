import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { fromLatin1, latin1, utf8 } from "../../../src/base/bytes.ts";
import { HEADER_OCTETS, MIME_DEPTH, MIME_PARTS } from "../../../src/base/limits.ts";
import { MimeScanner, OPENING_OCTETS } from "../../../src/mime/structure.ts";
import { checkStructure, entities, scan } from "./structure_invariants.ts";

const HEAD = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";

/** What each part is, and its body; and what is damaged. The message is fed whole and byte by byte. */
function bodies(message: string): { parts: string[]; damage: string[] } {
  const octets = fromLatin1(message);
  const whole = scan(octets);
  checkStructure(whole, octets);
  for (const size of [1, 2, 3, 7]) assertEquals(scan(octets, size), whole, `in pieces of ${size}`);
  const parts = entities(whole.root).filter(({ children }) => children.length === 0)
    .map(({ type, bodyStart, end }) => `${type.value} ${latin1(octets.subarray(bodyStart, end))}`);
  return { parts, damage: whole.damage.map(({ kind }) => kind) };
}

Deno.test("MimeScanner tells parts apart, without preamble, epilogue and the line ends of delimiters", () => {
  assertEquals(
    bodies(
      `${HEAD}pre\r\n--b\r\n\r\none\r\n--b \t\r\nContent-Type: a/b\r\n\r\ntwo\r\n\r\n--b--\r\nepi\r\n--b\r\n`,
    ),
    { parts: ["text/plain one", "a/b two\r\n"], damage: [] },
  );
});

Deno.test("MimeScanner takes LF for a line end, and a CR before it as its own", () => {
  assertEquals(
    bodies("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\r\n--b--"),
    { parts: ["text/plain one", "text/plain two"], damage: [] },
  );
});

Deno.test("MimeScanner reads empty parts and parts that are all header", () => {
  assertEquals(
    bodies(
      `${HEAD}--b\r\n--b\r\n\r\n--b\r\n\r\n\r\n--b\r\nContent-Type: a/b\r\n--b\r\nContent-Type: a/b\r\n\r\n--b--`,
    ),
    { parts: ["text/plain ", "text/plain ", "text/plain ", "a/b ", "a/b "], damage: [] },
  );
});

Deno.test("MimeScanner takes a line for a delimiter only as a whole", () => {
  const near = "--ba\r\n--b x\r\n --b\r\nx--b\r\n-b\r\n--\r\n--B\r\n--b-\r\n--b---";
  assertEquals(bodies(`${HEAD}--b\r\n\r\n${near}\r\n--b--`), { parts: [`text/plain ${near}`], damage: [] });
  const padding = " ".repeat(5000);
  assertEquals(bodies(`${HEAD}--b${padding}\r\n\r\none\r\n--b--${padding}\r\nx`), {
    parts: ["text/plain one"],
    damage: [],
  });
  assertEquals(bodies(`${HEAD}--b\r\n\r\none\r\n--b${padding}x\r\n--b--`), {
    parts: [`text/plain one\r\n--b${padding}x`],
    damage: [],
  });
});

Deno.test("MimeScanner goes innermost first, and an outer delimiter ends what is inside", () => {
  const inner = "--b\r\nContent-Type: multipart/alternative; boundary=bb\r\n\r\n";
  assertEquals(
    bodies(`${HEAD}${inner}--bb\r\n\r\none\r\n--bb--\r\n\r\n--b\r\n\r\ntwo\r\n--b--`),
    { parts: ["text/plain one", "text/plain two"], damage: [] },
  );
  assertEquals(bodies(`${HEAD}${inner}--bb\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--`), {
    parts: ["text/plain one", "text/plain two"],
    damage: ["unclosed"],
  });
  assertEquals(bodies(`${HEAD}${inner}--bb\r\nContent-Type: a/b\r\n--b--\r\n`), {
    parts: ["a/b "],
    damage: ["unclosed"],
  });
  const same = "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
  assertEquals(bodies(`${HEAD}${same}--b\r\n\r\none\r\n--b--\r\n--b\r\n\r\ntwo\r\n--b--`).parts, [
    "text/plain one",
    "text/plain two",
  ]);
});

Deno.test("MimeScanner ends an inner multipart before the line end of the outer delimiter", () => {
  const message = utf8(
    `${HEAD}--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--`,
  );
  const inner = scan(message).root.children[0]!;
  assertEquals(latin1(message.subarray(inner.bodyStart, inner.end)), "--c\r\n\r\nx\r\n--c--");
});

Deno.test("MimeScanner gives a digest's parts their type (RFC 2046 5.1.5)", () => {
  const digest = "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\nhi\r\n";
  assertEquals(bodies(`${digest}--b\r\nContent-Type: text/plain\r\n\r\ny\r\n--b--`).parts, [
    "message/rfc822 Subject: x\r\n\r\nhi",
    "text/plain y",
  ]);
  assertEquals(bodies("Content-Type: nonsense\r\n\r\nx").parts, ["text/plain x"]);
});

Deno.test("MimeScanner doesn't open messages inside messages", () => {
  const inner = "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--";
  assertEquals(
    bodies(`${HEAD}--b\r\nContent-Type: message/rfc822\r\n\r\n${inner}\r\n--b--`).parts,
    [`message/rfc822 ${inner}`],
  );
});

Deno.test("MimeScanner says what is damaged", () => {
  const damage = (message: string) => bodies(message).damage;
  assertEquals(damage("Content-Type: multipart/mixed\r\n\r\nx"), ["no-boundary"]);
  assertEquals(damage(`Content-Type: multipart/mixed; boundary=${"x".repeat(201)}\r\n\r\nx`), [
    "no-boundary",
  ]);
  assertEquals(damage(`Content-Type: multipart/mixed; boundary=${"x".repeat(200)}\r\n\r\nx`), ["no-parts"]);
  assertEquals(damage(`${HEAD}nothing comes`), ["no-parts"]);
  assertEquals(damage(`${HEAD}--b--\r\n`), ["no-parts"]);
  assertEquals(damage(`${HEAD}--b\r\n\r\nnever closed`), ["unclosed"]);
  assertEquals(damage(`${HEAD}--b\r\nno field\r\n\r\nx\r\n--b--`), ["bad-header"]);
  assertEquals(damage("Hello\r\n\r\nx"), ["bad-header"]);
  assertEquals(damage(`Content-Transfer-Encoding: base64\r\n${HEAD}--b\r\n\r\nx\r\n--b--`), ["encoding"]);
});

Deno.test("MimeScanner begins a body with the line that is no header's", () => {
  assertEquals(bodies(`Content-Type: multipart/mixed; boundary=b\r\n--b\r\n\r\none\r\n--b--`), {
    parts: ["text/plain one"],
    damage: ["bad-header"],
  });
});

Deno.test("MimeScanner compares a boundary as it was written", () => {
  for (const boundary of ["'()+_,-./:=?", "a b", "=?utf-8?Q?x?=", "caf\xe9", "x".repeat(70)]) {
    const message =
      `Content-Type: multipart/mixed; boundary="${boundary}"\r\n\r\n--${boundary}\r\n\r\nx\r\n--${boundary}--`;
    assertEquals(bodies(message), { parts: ["text/plain x"], damage: [] }, boundary);
  }
  const folded = "Content-Type: multipart/mixed (a; comment);\r\n\tboundary=b (another)\r\n\r\n";
  assertEquals(bodies(`${folded}--b\r\n\r\nx\r\n--b--`).damage, []);
  const sections = "Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\r\n\r\n";
  assertEquals(bodies(`${sections}--ab\r\n\r\nx\r\n--ab--`).damage, []);
});

Deno.test("MimeScanner keeps the opening of texts, as it stands", () => {
  const message = utf8(
    `${HEAD}--b\r\n\r\n${
      "x".repeat(600)
    }\r\n--b\r\n\r\nshort\r\n--b\r\nContent-Type: a/b\r\n\r\nno text\r\n--b--`,
  );
  for (const size of [1, 100, message.length]) {
    assertEquals(scan(message, size).root.children.map(({ opening }) => latin1(opening)), [
      "x".repeat(OPENING_OCTETS),
      "short",
      "",
    ]);
  }
});

Deno.test("MimeScanner keeps none of the octets it was given", () => {
  const octets = utf8(`${HEAD}--b\r\n\r\nthe text\r\n--b--`);
  const scanner = new MimeScanner();
  scanner.push(octets);
  octets.fill(0);
  const { root } = scanner.end();
  assertEquals(latin1(root.children[0]!.opening), "the text");
  assertEquals(root.fields[0]!.name, "Content-Type");
});

Deno.test("MimeScanner tells a bounded number of parts, levels and header octets apart", () => {
  const many = scan(utf8(HEAD + "--b\r\n\r\nx\r\n".repeat(MIME_PARTS + 500)));
  assertEquals([many.root.children.length, many.damage.map(({ kind }) => kind)], [MIME_PARTS - 1, ["limit"]]);
  let deep = "\r\nx";
  for (let i = 0; i < MIME_DEPTH + 5; i++) {
    deep = `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n${deep}\r\n--b${i}--`;
  }
  const levels = scan(utf8(deep));
  assertEquals([entities(levels.root).length, levels.damage.map(({ kind }) => kind)], [MIME_DEPTH + 1, [
    "limit",
  ]]);
  const field = "X: " + "y".repeat(1000) + "\r\n";
  const large = utf8(
    `Content-Type: multipart/mixed; boundary=b\r\n${field.repeat(1000)}\r\n--b\r\n\r\nx\r\n--b--`,
  );
  for (const size of [1000, large.length]) {
    const { root, damage } = scan(large, size);
    assertEquals([damage.map(({ kind }) => kind), root.children.length], [["limit"], 1]);
    assert(root.bodyStart <= HEADER_OCTETS);
  }
  const headers = scan(utf8(HEAD + `--b\r\n${field.repeat(200)}\r\nx\r\n`.repeat(40) + "--b--"));
  assertEquals(headers.damage.some(({ kind }) => kind === "limit"), true);
  assert(headers.root.children.length < 20, `${headers.root.children.length}`);
});

Deno.test("MimeScanner finds the same however the octets are cut", () => {
  const unit = fc.constantFrom(
    "\r\n",
    "\n",
    "\r",
    "--b",
    "--b--",
    "--bc",
    "-",
    " ",
    "x",
    "\r\n\r\n",
    "A: b\r\n",
    "Content-Type: multipart/mixed; boundary=bc\r\n",
    "Content-Type: multipart/digest; boundary=b\r\n",
  );
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 40 }), fc.integer({ min: 1, max: 20 }), (units, size) => {
      const octets = fromLatin1(HEAD + units.join(""));
      const whole = scan(octets);
      checkStructure(whole, octets);
      assertEquals(scan(octets, size), whole);
    }),
    { numRuns: 500 },
  );
});

Deno.test("MimeScanner is quick on hostile bodies", () => {
  const begun = performance.now();
  for (const piece of ["\n", "\n-", "\n--", "\n--b", "\n--b ", " ", "-", "--b\nX: y\n", "\n--bx"]) {
    scan(utf8(HEAD + "--b\n\n" + piece.repeat(2_000_000 / piece.length)), 65_536);
    scan(utf8(HEAD + piece.repeat(2_000_000 / piece.length)), 65_536);
  }
  assert(performance.now() - begun < 4000, `${performance.now() - begun} ms`);
});
