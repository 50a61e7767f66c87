/**
 * Walks at random through everything that makes, holds and lets go of bodies. After each step every body that something
 * holds can be read as it should be, and none else is left.
 *
 * The model knows of each octet of a body whose raw octets it is one of. Who holds what, it learns from what the store
 * shows: the queue, the maildrops, the reports.
 */
import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { openSqliteStore, storePath } from "../../../src/store/sqlite/open.ts";
import type { Piece, Segment, Store } from "../../../src/store/types.ts";
import {
  account,
  bodyOf,
  delivered,
  deliveredApart,
  message,
  outcome,
  pieceOf,
  withFolder,
} from "./fixtures.ts";

/** One octet of a body: the key it stands under raw, and the octet. */
type Octet = readonly [key: number, octet: string];

const ADDRESSES = ["a@x.org", "b@x.org", "c@x.org"];

class Walk {
  readonly #store: Store;
  #seed: number;
  #lastKey = 0;
  #accounts: { readonly id: number; readonly name: string }[] = [];
  readonly #bodies = new Map<number, readonly Octet[]>();
  /** Names of the steps, to tell what led to a failure. */
  readonly steps: string[] = [];

  constructor(store: Store, seed: number) {
    this.#store = store;
    this.#seed = seed;
  }

  async step(): Promise<void> {
    const steps = [
      this.#accept,
      this.#accept,
      this.#compose,
      this.#compose,
      this.#settle,
      this.#settle,
      this.#settle,
      this.#breakApart,
      this.#breakApart,
      this.#expandToPieces,
      this.#takeOut,
      this.#takeOut,
      this.#act,
      this.#addAccount,
      this.#removeAccount,
      this.#putReport,
      this.#removeReport,
      this.#prune,
    ];
    const step = steps[this.#below(steps.length)]!;
    this.steps.push(step.name);
    await step.call(this);
  }

  /** Checks every body there ever was; gives the keys whose raw octets have to be there. */
  async check(): Promise<number[]> {
    const needed = await this.#needed();
    for (const [key, octets] of this.#bodies) {
      const text = octets.map(([, octet]) => octet).join("");
      const expected = needed.has(key) && text !== "" ? text : undefined;
      assertEquals(await bodyOf(this.#store, key), expected, `body ${key} after ${this.steps.join(", ")}`);
    }
    return [...needed].sort((a, b) => a - b);
  }

  async #needed(): Promise<Set<number>> {
    const todo = (await this.#store.queue.list({}, { limit: 1e6 })).map(({ key }) => key);
    for (const { id } of this.#accounts) {
      todo.push(...Array.from((await this.#store.maildrops.list(id)).keys));
    }
    for (const { name } of await this.#store.reports.list()) {
      for (const { file } of await this.#store.reports.versions(name)) todo.push(file.key);
    }
    const needed = new Set<number>();
    for (let key = todo.pop(); key !== undefined; key = todo.pop()) {
      if (needed.has(key)) continue;
      needed.add(key);
      for (const [source] of this.#bodies.get(key)!) todo.push(source);
    }
    return needed;
  }

  // ------------------------------------------------------------ steps

  async #accept(): Promise<void> {
    const { key, own } = this.#newOwn(1 + this.#below(8));
    this.#bodies.set(key, octets(key, own));
    await this.#store.spool.accept(message(key, { body: own, recipients: this.#recipients() }));
  }

  async #compose(): Promise<void> {
    const { key, own } = this.#newOwn(this.#below(6));
    const segments = this.#stretches(await this.#live(), own);
    this.#bodies.set(key, this.#bodyOf({ key, own }, segments));
    await this.#store.spool.accept(message(key, { body: own, segments, recipients: this.#recipients() }));
  }

  async #settle(): Promise<void> {
    const entry = await this.#waiting();
    if (entry === undefined) return;
    const { key, index } = entry;
    const drop = this.#any(this.#accounts);
    const choices = [
      outcome(key, "relayed", { index }),
      outcome(key, "deferred", { index }),
      outcome(key, "expanded", { index, expandedTo: [{ recipient: this.#any(ADDRESSES)! }] }),
      ...drop === undefined ? [] : [delivered(key, [drop.id], { index, atMs: this.#below(1000) })],
    ];
    await this.#store.deliveries.record({ outcomes: [this.#any(choices)!] });
  }

  async #breakApart(): Promise<void> {
    const entry = await this.#waiting();
    const accounts = this.#accounts.filter(() => this.#below(2) === 0).map(({ id }) => id);
    if (entry === undefined || accounts.length === 0) return;
    const { key, index } = entry;
    const pieces = this.#pieces(key);
    const apart = { index, pieces: pieces.map((piece) => piece.key) };
    await this.#store.deliveries.record({ outcomes: [deliveredApart(key, accounts, apart)], pieces });
  }

  async #expandToPieces(): Promise<void> {
    const entry = await this.#waiting();
    if (entry === undefined) return;
    const { key, index } = entry;
    const pieces = this.#pieces(key);
    const expandedTo = pieces.map((piece) => ({ recipient: this.#any(ADDRESSES)!, piece: piece.key }));
    await this.#store.deliveries.record({
      outcomes: [outcome(key, "expanded", { index, expandedTo })],
      pieces,
    });
  }

  async #takeOut(): Promise<void> {
    if (this.#below(6) === 0) return void await this.#store.maildrops.expire(this.#below(1000), 2);
    const drop = this.#any(this.#accounts);
    if (drop === undefined) return;
    const keys = Array.from((await this.#store.maildrops.list(drop.id)).keys);
    await this.#store.maildrops.remove(drop.id, keys.filter(() => this.#below(2) === 0));
  }

  async #act(): Promise<void> {
    const entry = await this.#waiting();
    if (entry === undefined) return;
    const kind = this.#any(["drop", "hold", "retry", "release"] as const)!;
    await this.#store.queue.act({ keys: [entry.key] }, { kind, detail: "" });
  }

  async #addAccount(): Promise<void> {
    if (this.#accounts.length < 4) {
      const name = `account${this.#below(1e9)}`;
      this.#accounts.push(await this.#store.directory.addAccount(account(name)));
    }
  }

  async #removeAccount(): Promise<void> {
    const drop = this.#any(this.#accounts);
    if (drop === undefined || this.#below(3) > 0) return;
    await this.#store.directory.removeAccount(drop.name);
    this.#accounts = this.#accounts.filter(({ id }) => id !== drop.id);
  }

  async #putReport(): Promise<void> {
    const { key, own } = this.#newOwn(1 + this.#below(5));
    this.#bodies.set(key, octets(key, own));
    await this.#store.spool.append(key, new TextEncoder().encode(own));
    const file = { key, size: own.length, octets: own.length, fileName: "R.TXT", type: "text/plain" };
    const carriage = "none" as const;
    const name = this.#any(["R", "S"])!;
    await this.#store.reports.put({
      name,
      title: "",
      owner: "",
      readers: "everyone",
      createdAtMs: 1,
      carriage,
      file,
    });
  }

  async #removeReport(): Promise<void> {
    const report = this.#any(await this.#store.reports.list());
    if (report === undefined) return;
    await this.#store.reports.remove(report.name, this.#below(2) === 0 ? report.version : undefined);
  }

  async #prune(): Promise<void> {
    await this.#store.history.prune(9_000_000, this.#below(4));
  }

  // ------------------------------------------------------------ chance

  /** A number from 0 to `limit` - 1 (xorshift). */
  #below(limit: number): number {
    this.#seed ^= this.#seed << 13;
    this.#seed ^= this.#seed >>> 17;
    this.#seed ^= this.#seed << 5;
    return (this.#seed >>> 0) % limit;
  }

  #any<T>(values: readonly T[]): T | undefined {
    return values[this.#below(Math.max(1, values.length))];
  }

  #recipients(): string[] {
    return ADDRESSES.slice(0, 1 + this.#below(2));
  }

  #newOwn(length: number): { readonly key: number; readonly own: string } {
    const letters = "abcdefghijklmnopqrstuvwxyz";
    const own = Array.from({ length }, () => letters[this.#below(letters.length)]!).join("");
    return { key: ++this.#lastKey, own };
  }

  async #live(): Promise<number[]> {
    return [...await this.#needed()].sort((a, b) => a - b);
  }

  async #waiting(): Promise<{ readonly key: number; readonly index: number } | undefined> {
    return this.#any(await this.#store.queue.list({}, { limit: 1e6 }));
  }

  /** One to four stretches of these bodies and of the own octets. */
  #stretches(sources: readonly number[], own: string): Segment[] {
    return Array.from({ length: 1 + this.#below(4) }, (): Segment => {
      const source = this.#below(3) === 0 ? undefined : this.#any(sources);
      const size = source === undefined ? own.length : this.#bodies.get(source)!.length;
      const offset = this.#below(size + 1);
      const length = this.#below(size - offset + 1);
      return source === undefined ? { offset, length } : { source, offset, length };
    });
  }

  #bodyOf(
    { key, own }: { readonly key: number; readonly own: string },
    segments: readonly Segment[],
  ): Octet[] {
    return segments.flatMap(({ source, offset, length }) =>
      (source === undefined ? octets(key, own) : this.#bodies.get(source)!).slice(offset, offset + length)
    );
  }

  #pieces(of: number): Piece[] {
    return Array.from({ length: 1 + this.#below(3) }, () => {
      const { key, own } = this.#newOwn(this.#below(5));
      const segments = this.#stretches([of], own);
      this.#bodies.set(key, this.#bodyOf({ key, own }, segments));
      return pieceOf(of, key, { own, segments });
    });
  }
}

function octets(key: number, own: string): Octet[] {
  return [...own].map((octet) => [key, octet]);
}

const SEEDS = [1, 2, 3, 4, 5].map((seed) => seed * 7919);
const STEPS = 150;

Deno.test("bodies in memory are there exactly as long as something holds them", async () => {
  for (const seed of SEEDS.flatMap((seed) => [seed, seed + 1, seed + 2])) {
    const store = openMemoryStore();
    const walk = new Walk(store, seed);
    for (let step = 0; step < STEPS; step++) {
      await walk.step();
      await walk.check();
    }
    await store.close();
  }
});

Deno.test("bodies in SQLite are there exactly as long as something holds them", async () => {
  for (const seed of SEEDS) {
    await withFolder(async (folder) => {
      const path = storePath(folder);
      const store = await openSqliteStore({ path, recover: "yes" });
      const database = new DatabaseSync(path, { readOnly: true });
      const stored = database.prepare("SELECT DISTINCT id >> 16 AS key FROM part ORDER BY id");
      const composed = database.prepare("SELECT key FROM message WHERE segments IS NOT NULL ORDER BY key");
      const walk = new Walk(store, seed);
      for (let step = 0; step < STEPS; step++) {
        await walk.step();
        const needed = new Set(await walk.check());
        const keys = stored.all().map(({ key }) => key as number);
        assertEquals(keys.filter((key) => !needed.has(key)), [], `left after ${walk.steps.join(", ")}`);
        const made = composed.all().map(({ key }) => key as number);
        assertEquals(made.filter((key) => !needed.has(key)), [], `left after ${walk.steps.join(", ")}`);
        // What is needed and is no part has no octets of its own.
        assertEquals([...needed].filter((key) => !keys.includes(key) && !made.includes(key)), []);
      }
      assertEquals(database.prepare("PRAGMA integrity_check").get()!.integrity_check, "ok");
      database.close();
      await store.close();
    });
  }
});
