import { assert, assertEquals, assertMatch, assertNotMatch, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { concat, decodeUtf8, latin1, utf8 } from "../../../src/base/bytes.ts";
import {
  composeDeliveryReport,
  type DeliveryReport,
  headerSection,
  needs8bit,
  type ReportedRecipient,
} from "../../../src/mime/delivery_report.ts";
import { decodeEncodedWords } from "../../../src/mime/encoded_word.ts";
import { fieldValue, parseHeader } from "../../../src/mime/header.ts";
import { parseParameterised } from "../../../src/mime/parameters.ts";
import { decodeTransfer } from "../../../src/mime/transfer_encoding.ts";

const AT_MS = Date.UTC(2026, 10, 24, 14, 5, 9);

const bob: ReportedRecipient = {
  recipient: "bob@example.net",
  action: "failed",
  status: "5.1.1",
  remoteMta: "mx.example.net",
  diagnostic: "550 5.1.1 no such user",
  lastAttemptMs: AT_MS,
  reason: "example.net says that nobody there has this address.",
  dialogue: "C: RCPT TO:<bob@example.net>\nS: 550 5.1.1 no such user",
};

function report(changes: Partial<DeliveryReport> = {}): DeliveryReport {
  return {
    hostname: "mail.example.org",
    from: "MAILER-DAEMON@example.org",
    to: "alice@example.org",
    atMs: AT_MS,
    key: 7_000_000_000,
    arrivedAtMs: AT_MS - 60_000,
    subjectOf: "Lunch",
    messageId: "1@example.org",
    recipients: [bob],
    original: { kind: "headers", octets: utf8("Subject: Lunch\r\nFrom: alice@example.org\r\n") },
    smtpUtf8: false,
    ...changes,
  };
}

interface ReadPart {
  readonly type: string;
  readonly encoding: string;
  readonly octets: Uint8Array;
  readonly text: string;
}

/** Takes a report apart as a mail program would. */
function readReport(octets: Uint8Array) {
  const header = parseHeader(octets);
  const contentType = parseParameterised(fieldValue(header, "Content-Type")!);
  const boundary = contentType.parameters.get("boundary")!;
  const pieces = latin1(octets.subarray(header.bodyOffset)).split(
    new RegExp(`(?:^|\r\n)--${boundary}(?:--)?\r\n`),
  );
  assertEquals([pieces[0], pieces.at(-1)], ["", ""]);
  const parts = pieces.slice(1, -1).map((piece): ReadPart => {
    const whole = Uint8Array.from(piece, (character) => character.charCodeAt(0));
    const inner = parseHeader(whole);
    const encoding = fieldValue(inner, "Content-Transfer-Encoding") ?? "7bit";
    const body = decodeTransfer(whole.subarray(inner.bodyOffset), encoding);
    const type = parseParameterised(fieldValue(inner, "Content-Type")!).value;
    return { type, encoding, octets: body, text: decodeUtf8(body) ?? latin1(body) };
  });
  return { header, contentType, parts, field: (name: string) => fieldValue(header, name) };
}

/** The groups of fields of a delivery-status part. */
function statusOf(part: ReadPart): Record<string, string>[] {
  return part.text.trimEnd().split("\r\n\r\n").map((group) =>
    Object.fromEntries(parseHeader(utf8(`${group}\r\n`)).fields.map(({ name, value }) => [name, value]))
  );
}

const plain = (changes: Partial<DeliveryReport> = {}) =>
  readReport(composeDeliveryReport(report(changes))).parts[0]!.text;
const flat = (text: string) => text.replace(/\s+/g, " ");

Deno.test("composeDeliveryReport() has a header that no program answers", () => {
  const { field, contentType } = readReport(composeDeliveryReport(report()));
  assertEquals(field("From"), "Mail Delivery System <MAILER-DAEMON@example.org>");
  assertEquals(field("To"), "<alice@example.org>");
  assertEquals(field("Subject"), "Undelivered: Lunch");
  assertEquals(Date.parse(field("Date")!), AT_MS);
  assertMatch(field("Message-ID")!, /^<[0-9a-z]{10}@mail\.example\.org>$/);
  assertEquals(field("Auto-Submitted"), "auto-replied");
  assertEquals([field("In-Reply-To"), field("References")], ["<1@example.org>", "<1@example.org>"]);
  assertEquals(field("MIME-Version"), "1.0");
  assertEquals(contentType.value, "multipart/report");
  assertEquals(contentType.parameters.get("report-type"), "delivery-status");
});

Deno.test("composeDeliveryReport() has the text for people first, then status, then the original", () => {
  const { parts } = readReport(composeDeliveryReport(report()));
  assertEquals(parts.map(({ type, encoding }) => [type, encoding]), [
    ["text/plain", "7bit"],
    ["message/delivery-status", "7bit"],
    ["text/rfc822-headers", "7bit"],
  ]);
  assertEquals(parts[2]!.text, "Subject: Lunch\r\nFrom: alice@example.org\r\n");
});

Deno.test("composeDeliveryReport() tells people what happened, why, and what they can do", () => {
  const text = plain();
  const order = [
    "was not delivered to this recipient:",
    "bob@example.net",
    "nobody there has this address",
    "What you can do:",
    "Look for a mistake in the address",
    "Subject: Lunch",
    "C: RCPT TO:<bob@example.net>",
    "S: 550 5.1.1 no such user",
  ];
  let at = 0;
  for (const each of order) {
    const found = text.indexOf(each, at);
    assert(found >= at, `${each} is missing, or not in its place, in\n${text}`);
    at = found;
  }
  for (const line of text.split("\r\n")) assert(line.length <= 78, line);
});

Deno.test("composeDeliveryReport() gives advice by the status and never by words", () => {
  const advice = (status: string) =>
    flat(plain({ recipients: [{ ...bob, status, reason: "mailbox full", diagnostic: "" }] }));
  assertMatch(advice("5.2.2"), /mailbox is full\. Send the message again in a few days/);
  assertMatch(advice("5.3.4"), /smaller attachments/);
  assertMatch(advice("4.4.7"), /couldn't be reached for a long time/);
  assertMatch(advice("5.6.7"), /plain letters/);
  assertMatch(advice("5.7.1"), /has a rule against/);
  assertMatch(advice("5.7.30"), /travel encrypted/);
  assertMatch(advice("5.0.0"), /another way/);
  assertNotMatch(advice("5.0.0"), /mailbox is full/);
});

Deno.test("composeDeliveryReport() tells of a delay and until when it is tried", () => {
  const untilMs = AT_MS + 4 * 86_400_000;
  const delayed: ReportedRecipient = {
    ...bob,
    action: "delayed",
    status: "4.4.1",
    willRetryUntilMs: untilMs,
  };
  const { field, parts } = readReport(composeDeliveryReport(report({ recipients: [delayed] })));
  assertEquals(field("Subject"), "Delayed: Lunch");
  const text = flat(parts[0]!.text);
  assertMatch(text, /has not reached this recipient yet\. You need not send it again/);
  assertMatch(text, /Delivery is tried again until \w{3}, 2[789] Nov 2026/);
  assertNotMatch(text, /What you can do|C: RCPT/);
  assertEquals(Date.parse(statusOf(parts[1]!)[1]!["Will-Retry-Until"]!), untilMs);
});

Deno.test("composeDeliveryReport() tells of delivered, relayed and expanded recipients, the worst in the subject", () => {
  const recipients = (["delivered", "expanded", "relayed", "failed"] as const).map((action) => ({
    ...bob,
    recipient: `${action}@example.net`,
    action,
    status: action === "failed" ? "5.1.1" : "2.1.5",
  }));
  const subject = (count: number) =>
    readReport(composeDeliveryReport(report({ recipients: recipients.slice(0, count) }))).field("Subject");
  assertEquals([1, 2, 3, 4].map(subject), [
    "Delivered: Lunch",
    "Delivered to a list: Lunch",
    "Passed on: Lunch",
    "Undelivered: Lunch",
  ]);
  const { parts } = readReport(composeDeliveryReport(report({ recipients })));
  assertEquals(statusOf(parts[1]!).slice(1).map((group) => group["Action"]), [
    "delivered",
    "expanded",
    "relayed",
    "failed",
  ]);
  assertMatch(flat(parts[0]!.text), /gives no notice of delivery.*relayed@example\.net/);
});

Deno.test("composeDeliveryReport() writes RFC 3464's fields", () => {
  const recipients = [{ ...bob, orcpt: "rfc822;robert@example.net" }];
  const { parts } = readReport(composeDeliveryReport(report({ recipients, envid: "QQ314159" })));
  const [message, recipient] = statusOf(parts[1]!);
  const arrival = message!["Arrival-Date"]!;
  assertEquals(message, {
    "Original-Envelope-Id": "QQ314159",
    "Reporting-MTA": "dns; mail.example.org",
    "Arrival-Date": arrival,
  });
  assertEquals(Date.parse(arrival), AT_MS - 60_000);
  assertEquals(recipient, {
    "Original-Recipient": "rfc822; robert@example.net",
    "Final-Recipient": "rfc822; bob@example.net",
    "Action": "failed",
    "Status": "5.1.1",
    "Remote-MTA": "dns; mx.example.net",
    "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
    "Last-Attempt-Date": recipient!["Last-Attempt-Date"]!,
  });
});

Deno.test("composeDeliveryReport() leaves out what is not known, and mends a status that is none", () => {
  const recipients = [
    { recipient: "bob@example.net", action: "failed", status: "oops", reason: "" } as const,
  ];
  const { parts, field } = readReport(composeDeliveryReport(
    report({ recipients, messageId: "", subjectOf: undefined }),
  ));
  assertEquals(statusOf(parts[1]!)[1], {
    "Final-Recipient": "rfc822; bob@example.net",
    "Action": "failed",
    "Status": "5.0.0",
  });
  assertEquals([field("Subject"), field("In-Reply-To")], ["Undelivered: your message", undefined]);
});

Deno.test("composeDeliveryReport() quotes one dialogue once for all its recipients, and bounds all of them", () => {
  const recipients = ["a", "b"].map((name) => ({ ...bob, recipient: `${name}@example.net` }));
  const text = plain({ recipients });
  assertEquals(text.split("C: RCPT TO").length, 2);
  assertMatch(text, /About a@example\.net, b@example\.net:/);
  const long = Array.from(
    { length: 500 },
    (_, i) => ({ ...bob, dialogue: `S: ${i} ${"x".repeat(400)}\n`.repeat(40) }),
  );
  assert(plain({ recipients: long }).length < 64 * 1024 + 500 * 200 + 10_000);
  assertStringIncludes(plain({ recipients: long }), "(the rest is left out)");
});

Deno.test("composeDeliveryReport() needs no extension for UTF-8 in subject, reason and diagnostic", () => {
  const recipients = [{ ...bob, recipient: "bøb@example.net", reason: "Grüße", diagnostic: "550 größer" }];
  const octets = composeDeliveryReport(
    report({ recipients, subjectOf: "Mittagessen für alle 🍲".repeat(5) }),
  );
  assertEquals(needs8bit(octets), false);
  const { field, parts } = readReport(octets);
  assertEquals(decodeEncodedWords(field("Subject")!), `Undelivered: ${"Mittagessen für alle 🍲".repeat(5)}`);
  assertEquals(parts[0]!.encoding, "quoted-printable");
  assertStringIncludes(parts[0]!.text, "Grüße");
  const [, recipient] = statusOf(parts[1]!);
  // RFC 6533 3: utf-8-addr-xtext
  assertEquals(recipient!["Final-Recipient"], "utf-8; b\\x{F8}b@example.net");
  assertEquals(recipient!["Diagnostic-Code"], "smtp; 550 gr??er");
});

Deno.test("composeDeliveryReport() reports internationalised messages by RFC 6533's types, still in ASCII", () => {
  const recipients = [{ ...bob, recipient: "bøb@exämple.net", orcpt: "utf-8;bøb@exämple.net" }];
  const original = { kind: "headers", octets: utf8("Subject: Grüße\r\n") } as const;
  const octets = composeDeliveryReport(report({ recipients, original, smtpUtf8: true }));
  assertEquals(needs8bit(octets), false);
  const { parts } = readReport(octets);
  assertEquals(parts.map(({ type }) => type), [
    "text/plain",
    "message/global-delivery-status",
    "message/global-headers",
  ]);
  const [, recipient] = statusOf(parts[1]!);
  assertEquals(recipient!["Final-Recipient"], "utf-8; bøb@exämple.net");
  assertEquals(recipient!["Original-Recipient"], "utf-8; bøb@exämple.net");
  assertEquals(parts[2]!.text, "Subject: Grüße\r\n");
});

Deno.test("composeDeliveryReport() returns a whole message octet by octet", () => {
  const octets = concat([utf8("Subject: x\r\n\r\n"), Uint8Array.of(0xff, 0xfe, 13, 10), utf8("end")]);
  const composed = composeDeliveryReport(report({ original: { kind: "full", octets } }));
  const part = readReport(composed).parts[2]!;
  assertEquals([part.type, part.encoding], ["message/rfc822", "8bit"]);
  assertEquals(part.octets, octets);
  assertEquals(needs8bit(composed), true);
  const global = { kind: "full", octets: utf8("Subject: ü\r\n\r\nx\r\n") } as const;
  assertEquals(
    readReport(composeDeliveryReport(report({ original: global, smtpUtf8: true }))).parts[2]!.type,
    "message/global",
  );
  const ascii = { kind: "full", octets: utf8("Subject: x\r\n\r\nx\r\n") } as const;
  assertEquals(readReport(composeDeliveryReport(report({ original: ascii }))).parts[2]!.encoding, "7bit");
});

Deno.test("composeDeliveryReport() takes a boundary that the original doesn't hold", () => {
  const boundaryOf = (octets: Uint8Array) => readReport(octets).contentType.parameters.get("boundary")!;
  const first = boundaryOf(composeDeliveryReport(report()));
  const octets = utf8(`Subject: x\r\n\r\n--${first}\r\n\r\nforged\r\n`);
  const composed = composeDeliveryReport(report({ original: { kind: "full", octets } }));
  assert(boundaryOf(composed) !== first);
  assertEquals(readReport(composed).parts.length, 3);
});

Deno.test("composeDeliveryReport() lets no line end or control character through, whatever it is told", () => {
  const evil = fc.oneof(
    fc.constantFrom("a\r\nBcc: x@example.test", "\n\n.", "\r\n--=_", "\u0000\u001b[2J", "é\r\nX: y", " ", ""),
    fc.string(),
    fc.string({ unit: "binary", maxLength: 1200 }),
  );
  const recipient = fc.record({
    recipient: evil,
    orcpt: fc.option(evil, { nil: undefined }),
    action: fc.constantFrom("failed", "delayed", "delivered", "relayed", "expanded"),
    status: evil,
    remoteMta: evil,
    diagnostic: evil,
    reason: evil,
    dialogue: evil,
  });
  const property = fc.property(
    fc.record({ subjectOf: evil, messageId: evil, envid: evil, from: evil, to: evil, hostname: evil }),
    fc.array(recipient as fc.Arbitrary<ReportedRecipient>, { minLength: 1, maxLength: 4 }),
    fc.boolean(),
    (changes, recipients, smtpUtf8) => {
      const octets = composeDeliveryReport(report({ ...changes, recipients, smtpUtf8 }));
      const { header, parts } = readReport(octets);
      assertEquals(
        header.fields.map(({ name }) => name).filter((name) => !/^(In-Reply-To|References)$/.test(name)),
        [
          "From",
          "To",
          "Subject",
          "Date",
          "Message-ID",
          "Auto-Submitted",
          "MIME-Version",
          "Content-Type",
        ],
      );
      assertEquals(parts.length, 3);
      assertEquals(statusOf(parts[1]!).length, 1 + recipients.length);
      for (const line of latin1(octets).split("\r\n")) {
        const harmful = ["\r", "\n", "\0", "\x1b"].filter((each) => line.includes(each));
        assertEquals([harmful, line.length <= 998], [[], true], JSON.stringify(line));
      }
    },
  );
  fc.assert(property, { numRuns: 100 });
});

Deno.test("headerSection() gives whole lines up to the empty one", () => {
  const section = (text: string) => latin1(headerSection(utf8(text)));
  assertEquals(section("A: 1\r\nB: 2\r\n 3\r\n\r\nbody\r\n"), "A: 1\r\nB: 2\r\n 3\r\n");
  assertEquals(section("A: 1\r\n"), "A: 1\r\n");
  assertEquals(section("A: 1\r\nno field\r\n"), "A: 1\r\n");
  assertEquals(section("\r\nbody"), "");
  assertEquals(section("body only"), "");
  assertEquals(section(""), "");
});

Deno.test("headerSection() is bounded and cut at a line", () => {
  const line = `A: ${"x".repeat(95)}\r\n`;
  const section = headerSection(utf8(`${line.repeat(1000)}\r\nbody`));
  assert(section.length <= 32 * 1024 && section.length > 32 * 1024 - 200);
  assertEquals(section.length % line.length, 0);
});
