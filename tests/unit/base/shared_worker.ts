/** Enters and leaves as fast as it can, and reports how often the limit was seen broken; for shared_test.ts. */
import { SharedCounters } from "../../../src/base/shared.ts";

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<{ buffer: SharedArrayBuffer; thread: number; rounds: number }>) => void;
  postMessage(value: unknown): void;
};

scope.onmessage = ({ data: { buffer, thread, rounds } }) => {
  const counters = new SharedCounters(buffer, { thread });
  let entered = 0;
  for (let round = 0; round < rounds; round++) {
    counters.addOctets(1000);
    if (counters.tryEnter("receiver", `192.0.2.${round % 7}`, { total: 1 }) === "entered") {
      entered++;
      counters.leave("receiver", `192.0.2.${round % 7}`);
    }
    counters.releaseOctets(999);
  }
  scope.postMessage(entered);
};
