import { assert, assertEquals, assertMatch } from "@std/assert";
import { gunzipSync } from "node:zlib";
import { latin1 } from "../../../src/base/bytes.ts";
import { FakeClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import type { TlsSubject } from "../../../src/mime/tls_report.ts";
import { TlsReports } from "../../../src/queue/tls_reports.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import type { AcceptedMessage, TlsTally } from "../../../src/store/types.ts";
import { FakeDns } from "./fake_dns.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const MIDNIGHT_MS = Date.UTC(2026, 10, 24);
const DOMAIN = "example.org";

const ok: TlsSubject = { policyType: "no-policy-found", policyString: [], mxHost: [], resultType: "" };
const bad: TlsSubject = { ...ok, resultType: "certificate-expired", receivingMx: "mx.example.org" };

function setUp(options: { startMs?: number; enabled?: () => boolean; seed?: number } = {}) {
  const { startMs = MIDNIGHT_MS + 12 * HOUR_MS, enabled = () => true, seed = 1 } = options;
  const clock = new FakeClock(startMs);
  const dns = new FakeDns();
  const { trust } = openMemoryStore({ clock });
  const submitted: AcceptedMessage[] = [];
  const posted: { readonly url: string; readonly report: unknown }[] = [];
  const state = { status: 201, storeFails: false, submitFails: false };
  let key = 100;
  const reports = new TlsReports({
    trust: {
      tlsTallies: (day) => trust.tlsTallies(day),
      removeTlsTallies: (day, domain) => trust.removeTlsTallies(day, domain),
      addTlsTallies: (tallies) =>
        state.storeFails ? Promise.reject(new Error("full")) : trust.addTlsTallies(tallies),
    },
    dns,
    clock,
    random: seededRandom(seed),
    hostname: "mail.example.net",
    contact: "postmaster@example.net",
    enabled,
    nextKey: () => key++,
    submit(message) {
      if (state.submitFails) return Promise.reject(new Error("full"));
      submitted.push(message);
      return Promise.resolve();
    },
    post(url, { contentType, body }) {
      assertEquals(contentType, "application/tlsrpt+gzip");
      posted.push({ url, report: JSON.parse(gunzipSync(body).toString()) });
      return Promise.resolve(state.status);
    },
  });
  const stored = async (): Promise<TlsTally[]> => await trust.tlsTallies("9999-12-31");
  return {
    clock,
    dns,
    trust,
    reports,
    submitted,
    posted,
    state,
    stored,
    asks: (rua: string) => dns.found("TXT", `_smtp._tls.${DOMAIN}`, [`v=TLSRPTv1; rua=${rua}`]),
  };
}

Deno.test("TlsReports stores what it counted every minute, and at its stop", async () => {
  const { reports, clock, stored } = setUp();
  reports.start();
  reports.count(DOMAIN, ok);
  reports.count(DOMAIN, ok);
  reports.count(DOMAIN, bad);
  assertEquals(await stored(), []);
  await clock.advance(MINUTE_MS);
  assertEquals((await stored()).map(({ day, sessions }) => [day, sessions]).sort(), [
    ["2026-11-24", 1],
    ["2026-11-24", 2],
  ]);
  reports.count(DOMAIN, ok);
  await reports.stop();
  assertEquals((await stored()).map(({ sessions }) => sessions).sort(), [1, 3]);
});

Deno.test("TlsReports keeps counts that the store didn't take", async () => {
  const { reports, state, stored } = setUp();
  reports.count(DOMAIN, ok);
  state.storeFails = true;
  await reports.flush();
  reports.count(DOMAIN, ok);
  state.storeFails = false;
  await reports.flush();
  assertEquals((await stored()).map(({ sessions }) => sessions), [2]);
});

Deno.test("TlsReports counts nothing where reports are turned off, and bounds what it holds", async () => {
  const off = setUp({ enabled: () => false });
  off.reports.count(DOMAIN, ok);
  await off.reports.flush();
  assertEquals(await off.stored(), []);
  const { reports, stored } = setUp();
  for (let i = 0; i < 6000; i++) reports.count(`d${i}.test`, ok);
  await reports.flush();
  assertEquals((await stored()).length, 5000);
});

Deno.test("TlsReports sends a day's report in the first four hours of the next, once", async () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const { reports, clock, submitted, asks, stored } = setUp({ seed });
    asks("mailto:tls@example.org");
    reports.start();
    reports.count(DOMAIN, ok);
    await clock.advance(12 * HOUR_MS - 1);
    assertEquals(submitted.length, 0);
    await clock.advance(4 * HOUR_MS + 1);
    assertEquals(submitted.length, 1);
    assertEquals(await stored(), []);
    await clock.advance(2 * DAY_MS);
    assertEquals(submitted.length, 1);
    await reports.stop();
  }
});

Deno.test("TlsReports makes a message that is kept as one of this system", async () => {
  const { reports, clock, submitted, asks } = setUp();
  asks("mailto:tls@example.org");
  reports.count(DOMAIN, bad);
  await reports.flush();
  await clock.advance(DAY_MS);
  assertEquals(await reports.sendReports(), "done");
  const [message] = submitted;
  assertEquals(message!.envelope, { reversePath: "", recipients: ["tls@example.org"], smtpUtf8: false });
  assertEquals([message!.origin.made, message!.key, message!.size], [
    "report",
    100,
    message!.lastPart.length,
  ]);
  const text = latin1(message!.lastPart);
  assertMatch(text, /^From: <postmaster@example\.net>\r\nTo: <tls@example\.org>\r\n/);
  assert(text.includes(`Message-ID: <${message!.messageId}>`));
});

Deno.test("TlsReports posts to https, and to each destination", async () => {
  const { reports, clock, submitted, posted, asks } = setUp();
  asks("https://r.example.org/tls,mailto:tls@example.org");
  reports.count(DOMAIN, ok);
  reports.count(DOMAIN, bad);
  await reports.flush();
  await clock.advance(DAY_MS);
  assertEquals(await reports.sendReports(), "done");
  assertEquals([posted.length, submitted.length], [1, 1]);
  assertEquals(posted[0]!.url, "https://r.example.org/tls");
  const { policies } = posted[0]!.report as { policies: { summary: unknown }[] };
  assertEquals(policies.map(({ summary }) => summary), [
    { "total-successful-session-count": 1, "total-failure-session-count": 1 },
  ]);
});

Deno.test("TlsReports forgets what nobody asks a report of", async () => {
  const { reports, clock, submitted, stored } = setUp();
  reports.count(DOMAIN, ok);
  await reports.flush();
  await clock.advance(DAY_MS);
  assertEquals(await reports.sendReports(), "done");
  assertEquals([submitted.length, await stored()], [0, []]);
});

Deno.test("TlsReports leaves today's counts alone", async () => {
  const { reports, asks, submitted, stored } = setUp();
  asks("mailto:tls@example.org");
  reports.count(DOMAIN, ok);
  await reports.flush();
  assertEquals(await reports.sendReports(), "done");
  assertEquals([submitted.length, (await stored()).length], [0, 1]);
});

Deno.test("TlsReports tries every hour what failed, until it is two days old", async () => {
  const { reports, clock, dns, posted, asks, state, stored } = setUp();
  dns.failed("TXT", `_smtp._tls.${DOMAIN}`);
  reports.count(DOMAIN, ok);
  await reports.flush();
  await clock.advance(12 * HOUR_MS);
  assertEquals(await reports.sendReports(), "again");
  asks("https://r.example.org/tls");
  state.status = 503;
  reports.start();
  await clock.advance(6 * HOUR_MS);
  assert(posted.length >= 2 && posted.length <= 6, String(posted.length));
  assertEquals((await stored()).length, 1);
  state.status = 200;
  await clock.advance(HOUR_MS);
  assertEquals(await stored(), []);
  reports.count(DOMAIN, ok);
  await reports.flush();
  state.status = 503;
  await clock.advance(4 * DAY_MS);
  assertEquals(await stored(), []);
  await reports.stop();
});

Deno.test("TlsReports sends what is left after a start at any time of the day", async () => {
  const { reports, clock, asks, submitted, trust } = setUp({ startMs: MIDNIGHT_MS + 15 * HOUR_MS });
  asks("mailto:tls@example.org");
  await trust.addTlsTallies([
    { day: "2026-11-23", domain: DOMAIN, subject: JSON.stringify(ok), sessions: 3 },
    { day: "2026-11-23", domain: DOMAIN, subject: "damaged", sessions: 1 },
  ]);
  reports.start();
  await clock.advance(HOUR_MS);
  assertEquals(submitted.length, 1);
  await reports.stop();
});

Deno.test("TlsReports survives a submit that fails, and tries again", async () => {
  const { reports, clock, asks, submitted, state } = setUp();
  asks("mailto:tls@example.org");
  reports.count(DOMAIN, ok);
  await reports.flush();
  await clock.advance(DAY_MS);
  state.submitFails = true;
  assertEquals(await reports.sendReports(), "again");
  state.submitFails = false;
  assertEquals(await reports.sendReports(), "done");
  assertEquals(submitted.length, 1);
});
