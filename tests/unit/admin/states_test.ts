import { assertEquals } from "@std/assert";
import { andList, destinationWords, stateSentence } from "../../../src/admin/states.ts";

const facts = { recipient: "bob@example.net", detail: "", acceptedBy: "", accounts: [], becameWhom: [] };
const by = "mx.example.net [192.0.2.1]:25";

Deno.test("stateSentence() says what became of a recipient, with and without a reason", () => {
  const cases: [Parameters<typeof stateSentence>[0], string][] = [
    [{ ...facts, state: "queued" }, "waiting for delivery to bob@example.net"],
    [{ ...facts, state: "deferred", detail: "no answer" }, "bob@example.net waits: no answer"],
    [{ ...facts, state: "held", detail: "a mistake?" }, "held back from bob@example.net: a mistake?"],
    [
      { ...facts, state: "delivered", accounts: ["alice", "bob"] },
      "delivered to bob@example.net, into the maildrop of alice and bob",
    ],
    [
      { ...facts, state: "relayed", acceptedBy: by, detail: "250 2.0.0 Ok" },
      `accepted for bob@example.net by ${by}: it is responsible now (it said: 250 2.0.0 Ok)`,
    ],
    [
      { ...facts, state: "handed", acceptedBy: by },
      `handed on for bob@example.net to ${by}: what becomes of it there is reported by that host`,
    ],
    [
      { ...facts, state: "handed", acceptedBy: "unix.example.org [192.0.2.10]", acceptedAs: "buffer host" },
      "handed on for bob@example.net to the buffer host unix.example.org [192.0.2.10]: " +
      "what becomes of it there is reported by that host",
    ],
    [{ ...facts, state: "failed", detail: "550 no" }, "not delivered to bob@example.net: 550 no"],
    [
      { ...facts, state: "dropped" },
      "taken out of the queue before it reached bob@example.net, and nobody was told",
    ],
    [{ ...facts, state: "expanded", becameWhom: ["a@b.example"] }, "bob@example.net became a@b.example"],
    [
      { ...facts, state: "expanded", accounts: ["alice", "bob"] },
      "mail for bob@example.net is in the maildrop of alice and bob, and went to others who were recipients already",
    ],
    [
      { ...facts, state: "expanded", becameWhom: ["a@b.example", "c@d.example"], accounts: ["alice"] },
      "bob@example.net became 2 recipients: a@b.example and c@d.example; and it is in the maildrop of alice",
    ],
    [
      { ...facts, state: "expanded", detail: "sent on as 2 messages: 06jwx6kv0g, 06jwx6kv0h" },
      "mail for bob@example.net went on: sent on as 2 messages: 06jwx6kv0g, 06jwx6kv0h",
    ],
    [
      { ...facts, state: "expanded" },
      "mail for bob@example.net went on to others who were recipients already",
    ],
  ];
  for (const [given, said] of cases) assertEquals(stateSentence(given), said);
});

Deno.test("andList() joins names as a sentence does, and cuts many short", () => {
  assertEquals(andList([]), "");
  assertEquals(andList(["a"]), "a");
  assertEquals(andList(["a", "b"]), "a and b");
  assertEquals(andList(["a", "b", "c"]), "a, b and c");
  assertEquals(andList("abcdefghijkl".split("")), "a, b, c, d, e, f, g, h, i, j and 2 more");
});

Deno.test("destinationWords() tells a domain's hosts from one host", () => {
  assertEquals(destinationWords("example.net"), "the mail hosts of example.net");
  assertEquals(destinationWords("gateway mhs"), "the gateway mhs");
  assertEquals(destinationWords("[192.0.2.1]"), "the host at [192.0.2.1]");
  assertEquals(destinationWords("[mail.example.net]:587"), "the host mail.example.net, port 587");
  assertEquals(destinationWords("[2001:db8::1]:25"), "the host 2001:db8::1, port 25");
  assertEquals(
    destinationWords("[mail.example.net]:587 as office with REQUIRETLS"),
    "the host mail.example.net, port 587, logged in as office, over verified TLS only",
  );
});
