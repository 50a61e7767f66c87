import { assertEquals, assertThrows } from "@std/assert";
import { seededRandom } from "../../../src/base/random.ts";
import { SharedCounters } from "../../../src/base/shared.ts";

function threads(): [SharedCounters, SharedCounters] {
  const buffer = SharedCounters.create(seededRandom(1));
  return [new SharedCounters(buffer, { thread: 0 }), new SharedCounters(buffer, { thread: 31 })];
}

Deno.test("SharedCounters.tryEnter() holds the limit in all over two threads", () => {
  const [one, two] = threads();
  const limits = { total: 3 };
  assertEquals(one.tryEnter("receiver", "192.0.2.1", limits), "entered");
  assertEquals(two.tryEnter("receiver", "192.0.2.2", limits), "entered");
  assertEquals(two.tryEnter("receiver", "192.0.2.3", limits), "entered");
  assertEquals(one.tryEnter("receiver", "192.0.2.4", limits), "full");
  assertEquals(one.sessions("receiver"), 3);
  two.leave("receiver", "192.0.2.3");
  assertEquals(one.tryEnter("receiver", "192.0.2.4", limits), "entered");
});

Deno.test("SharedCounters.tryEnter() holds the limit of a client, and counts an IPv6 /64 as one", () => {
  const [one, two] = threads();
  const limits = { total: 50, perClient: 2 };
  assertEquals(one.tryEnter("receiver", "2001:db8::1", limits), "entered");
  assertEquals(two.tryEnter("receiver", "2001:db8::2", limits), "entered");
  assertEquals(one.tryEnter("receiver", "2001:db8::3", limits), "client-full");
  assertEquals(one.sessions("receiver"), 2);
  assertEquals(one.tryEnter("receiver", "2001:db8:0:1::3", limits), "entered");
  one.leave("receiver", "2001:db8::9");
  assertEquals(two.tryEnter("receiver", "2001:db8::3", limits), "entered");
});

Deno.test("SharedCounters.tryEnter() counts receivers and POP3 sessions apart", () => {
  const [one] = threads();
  const limits = { total: 1, perClient: 1 };
  assertEquals(one.tryEnter("receiver", "192.0.2.1", limits), "entered");
  assertEquals(one.tryEnter("pop3", "192.0.2.1", limits), "entered");
  assertEquals(one.tryEnter("pop3", "192.0.2.1", limits), "full");
});

Deno.test("SharedCounters.over() compares the octets of all threads", () => {
  const [one, two] = threads();
  one.addOctets(3_000_000_000);
  two.addOctets(5);
  assertEquals(one.octets(), 3_000_000_005);
  assertEquals([one.over(3_000_000_004), one.over(3_000_000_005)], [true, false]);
  one.releaseOctets(3_000_000_000);
  assertEquals(two.octets(), 5);
});

Deno.test("SharedCounters.releaseThread() takes back what one thread counted and no more", () => {
  const [one, two] = threads();
  const limits = { total: 10, perClient: 2 };
  one.tryEnter("receiver", "192.0.2.1", limits);
  two.tryEnter("receiver", "192.0.2.1", limits);
  two.tryEnter("pop3", "192.0.2.1", limits);
  one.addOctets(7);
  two.addOctets(8);
  one.releaseThread(31);
  assertEquals([one.sessions("receiver"), one.sessions("pop3"), one.octets()], [1, 0, 7]);
  assertEquals(one.tryEnter("receiver", "192.0.2.1", limits), "entered");
  assertEquals(one.tryEnter("receiver", "192.0.2.1", limits), "client-full");
  one.releaseThread(31);
  assertEquals(one.sessions("receiver"), 2);
});

Deno.test("SharedCounters takes thread numbers 0 to 31 only", () => {
  const buffer = SharedCounters.create(seededRandom(1));
  for (const thread of [-1, 32, 0.5]) assertThrows(() => new SharedCounters(buffer, { thread }), RangeError);
});

Deno.test("SharedCounters comes out even when threads count at the same time", async () => {
  const buffer = SharedCounters.create(seededRandom(1));
  const rounds = 5000;
  const entered = await Promise.all([1, 2].map((thread) => {
    const worker = new Worker(new URL("./shared_worker.ts", import.meta.url), { type: "module" });
    return new Promise<number>((resolve, reject) => {
      worker.onerror = reject;
      worker.onmessage = (event: MessageEvent<number>) => {
        worker.terminate();
        resolve(event.data);
      };
      worker.postMessage({ buffer, thread, rounds });
    });
  }));
  const counters = new SharedCounters(buffer, { thread: 0 });
  assertEquals(counters.sessions("receiver"), 0);
  assertEquals(counters.octets(), 2 * rounds);
  assertEquals(entered.every((count) => count > 0 && count <= rounds), true);
});
