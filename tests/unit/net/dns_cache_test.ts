import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/base/clock.ts";
import { DnsCache } from "../../../src/net/dns_cache.ts";

Deno.test("DnsCache.get() gives what was set until its time is up", async () => {
  const clock = new FakeClock();
  const cache = new DnsCache<string>({ clock, entries: 10 });
  cache.set("a", "one", { ttlMs: 1000 });
  await clock.advance(999);
  assertEquals(cache.get("a"), "one");
  await clock.advance(1);
  assertEquals(cache.get("a"), undefined);
  assertEquals(cache.size, 0);
});

Deno.test("DnsCache.set() replaces, and keeps no more than it may: the oldest go first", () => {
  const cache = new DnsCache<number>({ clock: new FakeClock(), entries: 3 });
  for (const [i, key] of ["a", "b", "c", "a", "d"].entries()) cache.set(key, i, { ttlMs: 1000 });
  assertEquals(["a", "b", "c", "d"].map((key) => cache.get(key)), [3, undefined, 2, 4]);
  assertEquals(cache.size, 3);
});
