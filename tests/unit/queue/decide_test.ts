import { assertEquals } from "@std/assert";
import { utf8 } from "../../../src/base/bytes.ts";
import { decide, type Resolved, wantsPieces } from "../../../src/queue/decide.ts";
import type { Piece, QueuedMessage } from "../../../src/store/types.ts";
import { NOWHERE, queued, type QueuedOptions, smtpRoute, START_MS } from "./queue_fixture.ts";

const PIECES: readonly Piece[] = [1, 2].map((number) => ({
  key: 100 + number,
  of: 7,
  place: `${number}/2`,
  own: new Uint8Array(10),
  segments: [{ offset: 0, length: 10 }, { source: 7, offset: 20, length: 30 }],
  size: 40,
  messageId: "",
}));

const OUT: Resolved = { ...NOWHERE, route: smtpRoute("y.org"), handling: "apart" };

function decided(message: QueuedMessage, resolved: Resolved, pieces: readonly Piece[] | undefined = PIECES) {
  const forwardSender = (path: string) => path === "" ? "" : `srs+${path}`;
  return message.recipients.map((recipient) =>
    decide(message, recipient, { resolved, nowMs: START_MS, pieces, forwardSender })
  );
}

Deno.test("decide() gives one body whole to one maildrop, and in pieces to another", () => {
  const resolved: Resolved = {
    ...NOWHERE,
    accounts: [{ id: 1, name: "p", handling: "whole" }, { id: 2, name: "y", handling: "apart" }],
  };
  const trace = utf8("Return-Path: <sender@example.org>\r\n");
  const whole = { account: 1, trace, size: 100 + trace.length };
  const [apart] = decided(queued(7), resolved);
  assertEquals("deliverTo" in apart! && apart.deliverTo, [
    whole,
    { account: 2, pieces: [101, 102].map((key) => ({ key, trace, size: 40 + trace.length })) },
  ]);
  // What can't be broken apart goes to both as it is.
  const forwardSender = (path: string) => path;
  const message = queued(7);
  const kept = decide(message, message.recipients[0]!, {
    resolved,
    nowMs: START_MS,
    pieces: undefined,
    forwardSender,
  });
  assertEquals("deliverTo" in kept && kept.deliverTo, [whole, { ...whole, account: 2 }]);
});

Deno.test("decide() makes a recipient elsewhere one of each piece, and tells of success once", () => {
  const requests = { notify: ["success", "failure"], orcpt: "rfc822;x@y.org" } as const;
  const message = queued(7, {
    recipients: [{ recipient: "x@y.org", requests, reversePath: "srs+a@b.org" }],
  });
  const [verdict] = decided(message, OUT);
  const expanded = { recipient: "x@y.org", requests, reversePath: "srs+a@b.org" };
  assertEquals(verdict, {
    kind: "delivered",
    recipient: message.recipients[0]!,
    deliverTo: [],
    expandedTo: [{ ...expanded, piece: 101 }, {
      ...expanded,
      requests: { ...requests, notify: ["failure"] },
      piece: 102,
    }],
    detail: "sent on as 2 messages: 0000000035, 0000000036",
    accounts: "",
    list: "no",
  });
});

Deno.test("wantsPieces() and decide() leave whole what is held, rerouted, or a piece already", () => {
  const kept: readonly QueuedOptions[] = [
    { piece: "1/2" },
    { recipients: [{ recipient: "x@y.org", reroute: "192.0.2.1:25" }] },
    { requests: { holdUntilMs: START_MS + 1 } },
  ];
  const asked = (options: QueuedOptions) => {
    const message = queued(7, options);
    return wantsPieces(message, message.recipients[0]!, { resolved: OUT, nowMs: START_MS });
  };
  for (const options of kept) assertEquals(asked(options), "no", JSON.stringify(options));
  assertEquals(asked({}), "yes");
  assertEquals(asked({ requests: { holdUntilMs: START_MS } }), "yes");
  const [rerouted] = decided(queued(7, kept[1]), OUT);
  assertEquals("hop" in rerouted! && rerouted.hop.kind, "host");
  const [held] = decided(queued(7, kept[2]), OUT);
  assertEquals("kind" in held! && held.kind, "deferred");
});

Deno.test("decide() sends a list's mail in its keeper's name, and asks for nothing in the sender's", () => {
  const resolved: Resolved = {
    ...NOWHERE,
    forwards: [{ recipient: "m@y.org", list: { owner: "keeper@x.org" } }, { recipient: "s@z.org" }],
    accounts: [{ id: 1, name: "a", handling: "whole" }],
    list: "yes",
    listOwner: "keeper@x.org",
  };
  const requests = { notify: ["success", "failure"], orcpt: "rfc822;list@x.org" } as const;
  const recipients = [{ recipient: "list@x.org", requests }];
  const [verdict] = decided(queued(7, { recipients }), resolved);
  assertEquals("expandedTo" in verdict! && [verdict.list, verdict.expandedTo], ["yes", [
    { recipient: "m@y.org", requests: { notify: ["failure"] }, reversePath: "keeper@x.org" },
    { recipient: "s@z.org", requests, reversePath: "srs+sender@example.org" },
  ]]);
  const trace = utf8("Return-Path: <keeper@x.org>\r\n");
  assertEquals("deliverTo" in verdict! && verdict.deliverTo, [{
    account: 1,
    trace,
    size: 100 + trace.length,
  }]);
  // A notification stays one that nobody is told about.
  const [report] = decided(queued(8, { recipients, reversePath: "" }), resolved);
  assertEquals("expandedTo" in report! && report.expandedTo, [
    { recipient: "m@y.org", requests: { notify: ["failure"] } },
    { recipient: "s@z.org", requests },
  ]);
  const none = utf8("Return-Path: <>\r\n");
  assertEquals("deliverTo" in report! && report.deliverTo, [{
    account: 1,
    trace: none,
    size: 100 + none.length,
  }]);
});

Deno.test("decide() lets mail wait whose gateway is gone from the configuration", () => {
  const wait = { destination: "gateway mhs", dueMs: 0, deadlineMs: 0, attempts: 2 };
  const recipients = [{ recipient: "u@w.mhs.x.org", wait }];
  for (const resolved of [{ ...OUT, handling: "whole" as const }, { ...NOWHERE, problem: "nobody" }]) {
    const [verdict] = decided(queued(7, { recipients }), resolved);
    assertEquals("kind" in verdict! && verdict.kind === "deferred" && [verdict.destination, verdict.tried], [
      "gateway mhs",
      "no",
    ]);
  }
  // Somebody here has the name now.
  const here: Resolved = { ...NOWHERE, accounts: [{ id: 1, name: "a", handling: "whole" }] };
  const [verdict] = decided(queued(7, { recipients }), here);
  assertEquals("kind" in verdict! && verdict.kind, "delivered");
});
