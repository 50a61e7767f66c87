/**
 * Looks into each folder that mail comes in by, every so often.
 *
 * Guarantees: one folder at a time, and one look at a folder at a time; a gateway that a reload brings, changes or takes away
 * is noticed within {@linkcode DROP_POLL_MS}.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import type { Clock, Timer } from "../../base/clock.ts";
import { DROP_POLL_MS } from "../../base/limits.ts";
import type { DropIn } from "./drop_in.ts";
import type { InGateway } from "./types.ts";

const log = getLogger(["emsmail", "gateway"]);

export interface DropPollerOptions {
  readonly dropIn: Pick<DropIn, "poll">;
  readonly clock: Clock;
  /** The folders as they are configured now. */
  gateways(): readonly InGateway[];
}

export class DropPoller {
  readonly #options: DropPollerOptions;
  /** When each folder is looked into next, in milliseconds since 1970. */
  #dueMs = new Map<string, number>();
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: DropPollerOptions) {
    this.#options = options;
  }

  /** Looks into every folder now, and goes on. */
  start(): void {
    this.#again(0);
  }

  /** Finishes the message in hand. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#running;
  }

  #again(delayMs: number): void {
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#running = this.#round()
        .catch((error) => {
          log.error("folders can't be looked into", { error: String(error) });
          return DROP_POLL_MS;
        })
        .then((nextMs) => this.#stopped ? undefined : this.#again(nextMs));
    });
  }

  /** Looks into what is due; gives how long to wait then, in milliseconds. */
  async #round(): Promise<number> {
    const { clock, dropIn } = this.#options;
    const gateways = this.#options.gateways();
    const dueMs = new Map<string, number>();
    for (const gateway of gateways) {
      if (this.#stopped) return 0;
      const known = this.#dueMs.get(gateway.in) ?? 0;
      // Sooner, where a reload asks for it.
      let nextMs = Math.min(known, clock.nowMs() + gateway.pollMs);
      if (nextMs <= clock.nowMs()) {
        const taken = await dropIn.poll(gateway, () => this.#stopped);
        nextMs = taken > 0 ? clock.nowMs() : clock.nowMs() + gateway.pollMs;
      }
      dueMs.set(gateway.in, nextMs);
    }
    this.#dueMs = dueMs;
    const firstMs = Math.min(...dueMs.values(), clock.nowMs() + DROP_POLL_MS);
    return Math.max(0, firstMs - clock.nowMs());
  }
}
