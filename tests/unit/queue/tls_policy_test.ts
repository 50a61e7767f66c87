import { assertEquals, assertMatch } from "@std/assert";
import { createHash } from "node:crypto";
import { FakeClock } from "../../../src/base/clock.ts";
import { type ConfigPart, defaultConfig } from "../../../src/config/config.ts";
import type { PeerTls } from "../../../src/net/client_tls.ts";
import type { FetchedPolicy } from "../../../src/queue/sts_policies.ts";
import {
  type HostPolicy,
  type HostQuestion,
  relayPolicy,
  type SkippedHost,
  TlsPolicies,
} from "../../../src/queue/tls_policy.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { certificate } from "../tls/chain.ts";
import { FakeDns } from "./fake_dns.ts";

const NOW_MS = Date.UTC(2026, 10, 24, 9);
const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
const DOMAIN = "example.org";
const HOST = "mx.example.org";

const leaf = await certificate({ subject: "mx", names: [HOST], fromMs: NOW_MS - DAY_MS });
const keyHash = new Uint8Array(createHash("sha256").update(leaf.key).digest());
const good: PeerTls = { description: "TLSv1.3", verified: true, problem: "", kind: "", chain: [leaf.der] };
const expired: PeerTls = { ...good, verified: false, problem: "it has expired", kind: "certificate-expired" };

function policyText(mode: string, options: { mx?: string; maxAge?: number } = {}): string {
  return `version: STSv1\nmode: ${mode}\nmx: ${options.mx ?? "*.example.org"}\nmax_age: ${
    options.maxAge ?? 604_800
  }\n`;
}

function setUp(part: ConfigPart = {}) {
  const clock = new FakeClock(NOW_MS);
  const dns = new FakeDns();
  const { trust } = openMemoryStore({ clock });
  const fetched: string[] = [];
  let answer: () => FetchedPolicy | Error = () => new Error("nobody there");
  const config = defaultConfig({ ...part, relay: { mode: "direct", ...part.relay } });
  const options = {
    dns,
    trust,
    clock,
    config: () => config,
    fetchPolicy(domain: string) {
      fetched.push(domain);
      const given = answer();
      return given instanceof Error ? Promise.reject(given) : Promise.resolve(given);
    },
  };
  const policies = new TlsPolicies(options);
  return {
    clock,
    dns,
    trust,
    fetched,
    policies,
    /** As if the server had been started again. */
    again: () => new TlsPolicies(options),
    publish(id: string, body: string) {
      dns.found("TXT", `_mta-sts.${DOMAIN}`, [`v=STSv1; id=${id};`]);
      answer = () => ({ status: 200, contentType: "text/plain; charset=utf-8", body });
    },
    serve: (given: FetchedPolicy | Error) => void (answer = () => given),
    tlsa(...data: Uint8Array[]) {
      dns.found("A", HOST, ["192.0.2.1"]);
      const records = data.map((each) => ({ usage: 3, selector: 1, matchingType: 1, certificate: each }));
      dns.found("TLSA", `_25._tcp.${HOST}`, records);
    },
    async host(question: Partial<HostQuestion> = {}, from = policies) {
      const domain = await from.domainPolicy(DOMAIN);
      return await from.hostPolicy(domain, { host: HOST, mx: "unproven", ...question });
    },
  };
}

function usable(policy: HostPolicy | SkippedHost): HostPolicy {
  if ("skip" in policy) throw new Error(`skipped: ${policy.skip}`);
  return policy;
}

function skipped(policy: HostPolicy | SkippedHost): SkippedHost {
  if (!("skip" in policy)) throw new Error(`not skipped: ${policy.name}`);
  return policy;
}

Deno.test("hostPolicy() takes TLS where it is offered, where nothing is published", async () => {
  const policy = usable(await setUp().host());
  assertEquals([policy.starttls, policy.name], ["if-offered", "opportunistic"]);
  assertEquals(policy.judge(expired), { ok: true, how: "not verified", resultType: "" });
  assertEquals(policy.judge(good), { ok: true, how: "verified", resultType: "" });
  assertEquals(policy.tlsrpt.policyType, "no-policy-found");
});

Deno.test("hostPolicy() follows the operator's rule, and asks nobody then", async () => {
  const wanted = [
    ["off", "never", true],
    ["opportunistic", "if-offered", true],
    ["required", "required", true],
    ["verified", "required", false],
    ["implicit", "required", false],
  ] as const;
  for (const [tls, starttls, takesExpired] of wanted) {
    const { host, dns, fetched, tlsa } = setUp({ tls: { outbound: [{ domain: DOMAIN, tls }] } });
    tlsa(new Uint8Array(32));
    const policy = usable(await host({ mx: "authentic" }));
    assertEquals([policy.starttls, policy.judge(expired).ok], [starttls, takesExpired], tls);
    assertEquals([dns.asked, fetched], [[], []]);
  }
});

Deno.test("domainPolicy() finds a rule for subdomains, and not for the domain above", async () => {
  const { policies } = setUp({ tls: { outbound: [{ domain: ".example.org", tls: "verified" }] } });
  assertEquals((await policies.domainPolicy("a.example.org")).rule, "verified");
  assertEquals((await policies.domainPolicy("example.org")).rule, undefined);
  assertEquals((await policies.domainPolicy("xexample.org")).rule, undefined);
});

Deno.test("relayPolicy() is the route's setting, and verified for REQUIRETLS", () => {
  assertEquals(relayPolicy("opportunistic").starttls, "if-offered");
  assertEquals(relayPolicy("verified").judge(expired), {
    ok: false,
    problem: "it has expired",
    resultType: "certificate-expired",
  });
  assertEquals(relayPolicy("off", "verified").starttls, "required");
  assertEquals(relayPolicy("opportunistic", "verified").judge(expired).ok, false);
});

// ---------------------------------------------------------------- MTA-STS

Deno.test("hostPolicy() enforces MTA-STS: a verified certificate of a host that the policy names", async () => {
  const { host, publish, fetched } = setUp();
  publish("a1", policyText("enforce"));
  const policy = usable(await host());
  assertEquals([policy.starttls, policy.name], ["required", "MTA-STS (enforce)"]);
  assertEquals(policy.judge(good).ok, true);
  assertEquals(policy.judge(expired), {
    ok: false,
    problem: "it has expired",
    resultType: "certificate-expired",
  });
  assertEquals(policy.tlsrpt, {
    policyType: "sts",
    policyString: ["version: STSv1", "mode: enforce", "mx: *.example.org", "max_age: 604800"],
    mxHost: ["*.example.org"],
  });
  const stranger = skipped(await host({ host: "mx.example.test" }));
  assertMatch(stranger.skip, /mx\.example\.test is not among the hosts of example\.org's MTA-STS policy/);
  assertEquals(stranger.resultType, "validation-failure");
  assertEquals(fetched, [DOMAIN]);
});

Deno.test("hostPolicy() lets mail pass with MTA-STS in mode testing, and tells what would have failed", async () => {
  const { host, publish } = setUp();
  publish("a1", policyText("testing"));
  const policy = usable(await host());
  assertEquals(policy.starttls, "if-offered");
  assertEquals(policy.judge(good), { ok: true, how: "verified", resultType: "" });
  assertEquals(policy.judge(expired), { ok: true, how: "not verified", resultType: "certificate-expired" });
  const stranger = usable(await host({ host: "mx.example.test" }));
  assertEquals(stranger.judge(good), { ok: true, how: "verified", resultType: "validation-failure" });
});

Deno.test("hostPolicy() has no policy where MTA-STS says none, is turned off, or on an intranet", async () => {
  const none = setUp();
  none.publish("a1", policyText("none"));
  assertEquals((await none.host()).name, "opportunistic");
  for (const part of [{ tls: { mtaSts: false } }, { relay: { mode: "intranet" } }] as const) {
    const off = setUp(part);
    off.publish("a1", policyText("enforce"));
    assertEquals((await off.host()).name, "opportunistic");
    assertEquals([off.fetched, off.dns.asked], [[], []]);
  }
});

Deno.test("domainPolicy() keeps a policy over a restart and fetches it again when its id changes", async () => {
  const { host, publish, fetched, again, clock } = setUp();
  publish("a1", policyText("enforce"));
  await host();
  assertEquals((await host({}, again())).name, "MTA-STS (enforce)");
  assertEquals(fetched.length, 1);
  publish("a2", policyText("testing"));
  assertEquals((await host()).name, "MTA-STS (enforce)", "remembered for five minutes");
  await clock.advance(5 * MINUTE_MS);
  assertEquals((await host()).name, "MTA-STS (testing)");
  assertEquals(fetched.length, 2);
});

Deno.test("domainPolicy() holds to a kept policy until its end when it can't be found or fetched", async () => {
  const { host, publish, serve, clock, dns } = setUp();
  publish("a1", policyText("enforce", { maxAge: 86_400 }));
  await host();
  dns.found("TXT", `_mta-sts.${DOMAIN}`, ["v=STSv1; id=a2"]);
  serve(new Error("connection refused"));
  await clock.advance(6 * MINUTE_MS);
  assertEquals((await host()).name, "MTA-STS (enforce)");
  dns.failed("TXT", `_mta-sts.${DOMAIN}`);
  await clock.advance(6 * MINUTE_MS);
  assertEquals((await host()).name, "MTA-STS (enforce)");
  delete dns.answers[`TXT _mta-sts.${DOMAIN}`];
  await clock.advance(23 * 60 * MINUTE_MS);
  assertEquals((await host()).name, "MTA-STS (enforce)");
  await clock.advance(60 * MINUTE_MS);
  assertEquals((await host()).name, "opportunistic");
});

Deno.test("domainPolicy() fetches a policy again in the second half of its life", async () => {
  const { host, publish, fetched, clock } = setUp();
  publish("a1", policyText("enforce", { maxAge: 86_400 }));
  await host();
  await clock.advance(11 * 60 * MINUTE_MS);
  await host();
  assertEquals(fetched.length, 1);
  await clock.advance(2 * 60 * MINUTE_MS);
  await host();
  assertEquals(fetched.length, 2);
  await clock.advance(14 * 60 * MINUTE_MS);
  assertEquals((await host()).name, "MTA-STS (enforce)");
});

Deno.test("domainPolicy() remembers for five minutes that a policy can't be had, and says why in reports", async () => {
  class TlsFailure extends Error {
    readonly kind = "certificate-host-mismatch";
  }
  const body = policyText("enforce");
  const wanted: [FetchedPolicy | Error, string][] = [
    [new Error("connection refused"), "sts-policy-fetch-error"],
    [{ status: 301, contentType: "text/plain", body }, "sts-policy-fetch-error"],
    [{ status: 200, contentType: "text/html", body }, "sts-policy-fetch-error"],
    [{ status: 200, contentType: "text/plain", body: "version: x" }, "sts-policy-invalid"],
    [
      { status: 200, contentType: "text/plain", body: `${body}x: ${"y".repeat(65_536)}` },
      "sts-policy-invalid",
    ],
    [new TlsFailure("not for mta-sts.example.org"), "sts-webpki-invalid"],
  ];
  for (const [answer, resultType] of wanted) {
    const { host, publish, serve, fetched, clock } = setUp();
    publish("a1", body);
    serve(answer);
    const policy = usable(await host());
    assertEquals(policy.starttls, "if-offered");
    assertEquals(policy.judge(good), { ok: true, how: "verified", resultType });
    assertEquals(policy.tlsrpt.policyType, "sts");
    await host();
    await clock.advance(4 * MINUTE_MS);
    await host();
    assertEquals(fetched.length, 1);
    await clock.advance(MINUTE_MS);
    await host();
    assertEquals(fetched.length, 2);
  }
});

Deno.test("domainPolicy() asks once for questions at the same time, and for no address literal", async () => {
  const { policies, publish, fetched, dns } = setUp();
  publish("a1", policyText("enforce"));
  await Promise.all([policies.domainPolicy(DOMAIN), policies.domainPolicy(DOMAIN)]);
  assertEquals(fetched.length, 1);
  dns.asked.length = 0;
  await policies.domainPolicy("[192.0.2.1]");
  assertEquals(dns.asked, []);
});

// ---------------------------------------------------------------- DANE

Deno.test("hostPolicy() follows DANE where DNSSEC vouches for all of it, before MTA-STS", async () => {
  const { host, tlsa, publish } = setUp();
  publish("a1", policyText("enforce", { mx: "other.example.org" }));
  tlsa(keyHash);
  const policy = usable(await host({ mx: "authentic" }));
  assertEquals([policy.starttls, policy.name], ["required", "DANE"]);
  assertEquals(policy.judge(expired), { ok: true, how: "verified by DANE", resultType: "" });
  const stranger = { ...good, chain: [(await certificate({ subject: "x", fromMs: NOW_MS })).der] };
  const verdict = policy.judge(stranger);
  assertMatch(verdict.ok ? "" : verdict.problem, /TLSA records of mx\.example\.org/);
  assertEquals(policy.tlsrpt.policyType, "tlsa");
  assertMatch(policy.tlsrpt.policyString[0]!, /^3 1 1 [0-9a-f]{64}$/);
});

Deno.test("hostPolicy() leaves DANE where an answer on the way is not authentic, or DANE is off", async () => {
  const { host, tlsa, dns } = setUp();
  tlsa(keyHash);
  assertEquals((await host({ mx: "unproven" })).name, "opportunistic");
  const off = setUp({ tls: { dane: false } });
  off.tlsa(keyHash);
  assertEquals((await off.host({ mx: "authentic" })).name, "opportunistic");
  dns.found("A", HOST, ["192.0.2.1"], { authentic: false });
  dns.asked.length = 0;
  assertEquals((await host({ mx: "authentic" })).name, "opportunistic");
  assertEquals(dns.asked.some((question) => question.startsWith("TLSA")), false);
  tlsa(keyHash);
  dns.found("TLSA", `_25._tcp.${HOST}`, [], { authentic: false });
  assertEquals((await host({ mx: "authentic" })).name, "opportunistic");
});

Deno.test("hostPolicy() skips a host whose TLSA records can't be looked up", async () => {
  const { host, tlsa, dns } = setUp();
  tlsa(keyHash);
  dns.failed("TLSA", `_25._tcp.${HOST}`);
  const policy = skipped(await host({ mx: "authentic" }));
  assertMatch(policy.skip, /TLSA records of mx\.example\.org can't be looked up: SERVFAIL/);
  assertEquals([policy.resultType, policy.tlsrpt.policyType], ["dnssec-invalid", "tlsa"]);
});

Deno.test("hostPolicy() looks for TLSA records behind the host's alias first, and by its IPv6 address too", async () => {
  const { host, dns } = setUp();
  const record = { usage: 3, selector: 1, matchingType: 1, certificate: keyHash };
  dns.answers[`A ${HOST}`] = { status: "no-data", authentic: true };
  dns.found("AAAA", HOST, ["2001:db8::1"], { name: "real.example.net" });
  dns.found("TLSA", "_25._tcp.real.example.net", [record]);
  dns.found("TLSA", `_25._tcp.${HOST}`, [{ ...record, certificate: new Uint8Array(32) }]);
  assertEquals(usable(await host({ mx: "authentic" })).judge(good).ok, true);
});

Deno.test("hostPolicy() requires TLS but no certificate where no TLSA record can be used", async () => {
  const { host, tlsa, dns } = setUp();
  tlsa(keyHash);
  dns.found("TLSA", `_25._tcp.${HOST}`, [{ usage: 1, selector: 1, matchingType: 1, certificate: keyHash }]);
  const policy = usable(await host({ mx: "authentic" }));
  assertEquals(policy.starttls, "required");
  assertEquals(policy.judge(expired), {
    ok: true,
    how: "not verified, no usable TLSA record",
    resultType: "tlsa-invalid",
  });
});

// ---------------------------------------------------------------- REQUIRETLS and reports

Deno.test("hostPolicy() wants proof of host and certificate for REQUIRETLS", async () => {
  const bare = setUp();
  assertMatch(skipped(await bare.host({ tls: "verified" })).skip, /neither DNSSEC nor MTA-STS proves/);
  const proved = usable(await bare.host({ tls: "verified", mx: "authentic" }));
  assertEquals([proved.starttls, proved.judge(good).ok, proved.judge(expired).ok], ["required", true, false]);

  const sts = setUp();
  sts.publish("a1", policyText("testing"));
  assertEquals(usable(await sts.host({ tls: "verified" })).judge(expired).ok, false);
  skipped(await sts.host({ tls: "verified", host: "mx.example.test" }));

  const dane = setUp();
  dane.tlsa(keyHash);
  assertEquals(usable(await dane.host({ tls: "verified", mx: "authentic" })).judge(expired).ok, true);
});

Deno.test("hostPolicy() says when REQUIRETLS can't be met for good, and when it may yet be", async () => {
  const bare = setUp();
  const refusal = skipped(await bare.host({ tls: "verified" })).refusal;
  assertEquals([refusal?.code, refusal?.enhanced], [550, "5.7.10"]);

  const sts = setUp();
  sts.publish("a1", policyText("enforce"));
  assertEquals(skipped(await sts.host({ tls: "verified", host: "mx.example.test" })).refusal?.code, 550);
  // Without REQUIRETLS the mail waits for a better host.
  assertEquals(skipped(await sts.host({ host: "mx.example.test" })).refusal, undefined);

  const unfetched = setUp();
  unfetched.publish("a1", "");
  unfetched.serve(new Error("connection refused"));
  assertEquals(skipped(await unfetched.host({ tls: "verified" })).refusal, undefined);

  const unknown = setUp();
  unknown.dns.failed("TXT", `_mta-sts.${DOMAIN}`);
  assertEquals(skipped(await unknown.host({ tls: "verified" })).refusal, undefined);

  const dane = setUp();
  dane.dns.found("A", HOST, ["192.0.2.1"]);
  dane.dns.failed("TLSA", `_25._tcp.${HOST}`);
  assertEquals(skipped(await dane.host({ tls: "verified", mx: "authentic" })).refusal, undefined);
});

Deno.test("domainPolicy() asks again soon where DNS did not say whether there is a policy", async () => {
  const { host, publish, clock, dns } = setUp();
  dns.failed("TXT", `_mta-sts.${DOMAIN}`);
  assertEquals(usable(await host()).name, "opportunistic");
  publish("a1", policyText("enforce"));
  assertEquals(usable(await host()).name, "opportunistic");
  await clock.advance(10_000);
  assertEquals(usable(await host()).name, "MTA-STS (enforce)");
});

Deno.test("hostPolicy() lets no operator's rule and no unusable record weaken REQUIRETLS", async () => {
  for (const tls of ["off", "opportunistic", "required"] as const) {
    const { host } = setUp({ tls: { outbound: [{ domain: DOMAIN, tls }] } });
    skipped(await host({ tls: "verified" }));
    assertEquals(usable(await host({ tls: "verified", mx: "authentic" })).judge(expired).ok, false);
  }
  const verified = setUp({ tls: { outbound: [{ domain: DOMAIN, tls: "verified" }] } });
  assertEquals(usable(await verified.host({ tls: "verified" })).judge(expired).ok, false);
  const { host, tlsa } = setUp();
  tlsa(new Uint8Array(7));
  assertEquals(usable(await host({ tls: "verified", mx: "authentic" })).judge(expired).ok, false);
});

Deno.test("hostPolicy() lets nothing stop a report", async () => {
  const { host, publish, tlsa } = setUp();
  publish("a1", policyText("enforce"));
  tlsa(new Uint8Array(32));
  const policy = usable(await host({ tls: "best-effort", mx: "authentic", host: "mx.example.test" }));
  assertEquals([policy.starttls, policy.judge(expired).ok], ["if-offered", true]);
});
