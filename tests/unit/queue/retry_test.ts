import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  momentsOf,
  nextMomentMs,
  retryDelayMs,
  type RetryPolicy,
  wantsNotice,
} from "../../../src/queue/retry.ts";
import type { MessageRequests, NotifyEvent } from "../../../src/mail/envelope.ts";
import { queued, START_MS } from "./queue_fixture.ts";

const HOUR = 3_600_000;
const policy: RetryPolicy = {
  retryMs: [5, 15, 30],
  expireMs: 120 * HOUR,
  delayNoticeMs: 4 * HOUR,
  unreachableAfterMs: 6 * HOUR,
};

Deno.test("retryDelayMs() takes the waits in order, and the last one from then on", () => {
  const delays = [0, 1, 2, 3, 4, 99].map((failures) =>
    retryDelayMs(failures, { retryMs: [1000, 2000, 4000], fraction: 0.5 })
  );
  assertEquals(delays, [1000, 1000, 2000, 4000, 4000, 4000]);
});

Deno.test("retryDelayMs() moves a wait by a tenth at most, to both sides", () => {
  fc.assert(fc.property(
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    fc.integer({ min: 1, max: 10 }),
    (fraction, failures) => {
      const base = [1000, 60_000][Math.min(failures, 2) - 1]!;
      const delay = retryDelayMs(failures, { retryMs: [1000, 60_000], fraction });
      return delay >= base * 0.9 && delay <= base * 1.1;
    },
  ));
  assertEquals(retryDelayMs(1, { retryMs: [1000], fraction: 0 }), 900);
  assertEquals(retryDelayMs(1, { retryMs: [1000], fraction: 0.999999 }), 1100);
});

Deno.test("wantsNotice() goes by NOTIFY, and by failure and delay without it; never for the null reverse-path", () => {
  const events: NotifyEvent[] = ["success", "failure", "delay"];
  const wanted = (notify?: readonly NotifyEvent[], reversePath = "a@example.org") =>
    events.filter((event) =>
      wantsNotice(event, { reversePath }, notify === undefined ? undefined : { notify })
    );
  assertEquals(wanted(), ["failure", "delay"]);
  assertEquals(wanted([]), []);
  for (const event of events) assertEquals(wanted([event]), [event]);
  assertEquals(wanted(events), events);
  assertEquals(wanted(events, ""), []);
  assertEquals(wantsNotice("failure", { reversePath: "a@example.org" }, { orcpt: "rfc822;x@y" }), true);
});

Deno.test("momentsOf() counts from the receipt, or from when the message may leave", () => {
  const message = queued(1);
  const [recipient] = message.recipients;
  assertEquals(momentsOf(message, recipient!, { policy, backup: "no-backup" }), {
    expireMs: START_MS + 120 * HOUR,
    returnByMs: undefined,
    delayMs: START_MS + 4 * HOUR,
    backupMs: undefined,
  });
  const held = queued(1, { requests: { holdUntilMs: START_MS + 10 * HOUR } });
  assertEquals(momentsOf(held, held.recipients[0]!, { policy, backup: "has-backup" }), {
    expireMs: START_MS + 130 * HOUR,
    returnByMs: undefined,
    delayMs: START_MS + 14 * HOUR,
    backupMs: START_MS + 16 * HOUR,
  });
});

Deno.test("momentsOf() has the time a sender set: to return, or to tell", () => {
  const at = (deliverBy: MessageRequests["deliverBy"], delayNoticeMs = policy.delayNoticeMs) => {
    const message = queued(1, { requests: deliverBy === undefined ? {} : { deliverBy } });
    const moments = momentsOf(message, message.recipients[0]!, {
      policy: { ...policy, delayNoticeMs },
      backup: "no-backup",
    });
    return [moments.returnByMs, moments.delayMs].map((ms) => ms === undefined ? ms : (ms - START_MS) / HOUR);
  };
  const soon = START_MS + HOUR;
  const late = START_MS + 9 * HOUR;
  assertEquals(at({ byMs: soon, mode: "return" }), [1, 4]);
  assertEquals(at({ byMs: soon, mode: "notify" }), [undefined, 1]);
  assertEquals(at({ byMs: late, mode: "notify" }), [undefined, 4]);
  assertEquals(at({ byMs: late, mode: "notify" }, 0), [undefined, 9]);
  assertEquals(at(undefined, 0), [undefined, undefined]);
});

Deno.test("momentsOf() tells of a delay once, and only whom it is for", () => {
  const wait = { destination: "x", dueMs: 0, deadlineMs: 0, attempts: 1 };
  const delay = (message = queued(1)) =>
    momentsOf(message, message.recipients[0]!, { policy, backup: "no-backup" }).delayMs;
  assertEquals(delay(queued(1, { recipients: [{ wait: { ...wait, delayTold: true } }] })), undefined);
  assertEquals(delay(queued(1, { recipients: [{ requests: { notify: ["failure"] } }] })), undefined);
  assertEquals(delay(queued(1, { reversePath: "" })), undefined);
  assert(delay(queued(1, { recipients: [{ wait }] })) !== undefined);
});

Deno.test("momentsOf() begins anew on the backup route, and takes no other then", () => {
  const backupSinceMs = START_MS + 6 * HOUR;
  const wait = { destination: "x", dueMs: 0, deadlineMs: 0, attempts: 1, backupSinceMs };
  const message = queued(1, { recipients: [{ wait }] });
  const moments = momentsOf(message, message.recipients[0]!, { policy, backup: "has-backup" });
  assertEquals(moments.backupMs, undefined);
  assertEquals(moments.expireMs, backupSinceMs + 120 * HOUR);
});

Deno.test("momentsOf() takes the backup before the time is up, however the two are set", () => {
  const message = queued(1);
  const moments = momentsOf(message, message.recipients[0]!, {
    policy: { ...policy, unreachableAfterMs: 500 * HOUR },
    backup: "has-backup",
  });
  assertEquals(moments.backupMs, moments.expireMs);
});

Deno.test("nextMomentMs() is the first that is still to come, and never before now", () => {
  const moments = { expireMs: 100, returnByMs: 50, delayMs: 20, backupMs: undefined };
  assertEquals([0, 20, 49, 50, 99, 100, 200].map((now) => nextMomentMs(moments, now)), [
    20,
    50,
    50,
    100,
    100,
    100,
    200,
  ]);
  const time = fc.option(fc.nat(1000), { nil: undefined });
  fc.assert(
    fc.property(
      fc.nat(1000),
      time,
      time,
      time,
      fc.nat(1000),
      (expireMs, returnByMs, delayMs, backupMs, now) => {
        const next = nextMomentMs({ expireMs, returnByMs, delayMs, backupMs }, now);
        const all = [expireMs, returnByMs, delayMs, backupMs];
        return next >= now && (next === now || all.includes(next)) &&
          !all.some((at) => at !== undefined && at > now && at < next);
      },
    ),
  );
});
