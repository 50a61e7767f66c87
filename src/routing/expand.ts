/**
 * Finds whose maildrops a recipient stands for, and which addresses elsewhere, through aliases of aliases, without looking
 * anything up itself.
 *
 * The caller asks next() what to look up, looks the names up in turn (each may be an account or an alias), and tells
 * found() about the first that exists, until next() says that it is done:
 *
 * ```ts
 * const expansion = new Expansion(recipient, topology);
 * let step = expansion.next();
 * for (; step.kind === "look-up"; step = expansion.next()) expansion.found(await lookUp(step.names));
 * // step.accounts, step.forwards, step.problems
 * ```
 *
 * Guarantees: ends, whatever the aliases say; an account or address comes out once; an alias is opened once, nearest first;
 * {@linkcode ALIAS_DEPTH} aliases deep and {@linkcode ALIAS_NAMES} names wide at most. What leads nowhere becomes a
 * problem, and doesn't keep the mail from everybody else.
 *
 * Who may send to where a recipient itself leads is for the caller to judge ({@linkcode Expansion.route}). What an alias
 * leads to is not asked for that: an operator made the alias, so that whoever may write to it reaches everybody behind it.
 *
 * States: waiting for next() <-> waiting for found(), then done.
 *
 * @module
 */
import { ALIAS_DEPTH, ALIAS_NAMES } from "../base/limits.ts";
import {
  type Address,
  canonicalDomain,
  formatAddress,
  parseAddress,
  parseLocalPart,
} from "../mail/address.ts";
import { bareNameCandidates } from "./local.ts";
import { resolve, type ResolveOptions, type Route, type Topology } from "./route.ts";

/** What the first existing name of a look-up is. */
export type Found =
  | { readonly kind: "account"; readonly name: string }
  | { readonly kind: "alias"; readonly name: string; readonly targets: readonly string[] }
  | { readonly kind: "nothing" };

export interface ExpansionProblem {
  /**
   * - `unknown`: nobody has the name
   * - `outside`: routing refuses the address
   * - `loop`: an alias leads back to itself
   * - `limit`: aliases too deep or too many names
   */
  readonly kind: "unknown" | "outside" | "loop" | "limit";
  /** A sentence for the log, `emsmail trace`, and the sender. */
  readonly text: string;
}

/** An address elsewhere, and the way there. */
export interface Forward {
  readonly recipient: Address;
  readonly route: Extract<Route, { readonly channel: "smtp" }>;
}

export type ExpansionStep =
  /** Look these up in turn, then call found() about the first that exists. */
  | { readonly kind: "look-up"; readonly names: readonly string[] }
  | {
    readonly kind: "done";
    /** Account names, each once, in the order of finding. */
    readonly accounts: readonly string[];
    /** Addresses elsewhere, each once, in the order of finding. */
    readonly forwards: readonly Forward[];
    readonly problems: readonly ExpansionProblem[];
  };

/** A name still to be looked up. */
interface Pending {
  /** As the sender or the alias has it. */
  readonly written: string;
  readonly names: readonly string[];
  /** Aliases that led here, outermost first. */
  readonly path: readonly string[];
}

export class Expansion {
  readonly #topology: Topology;
  readonly #options: ResolveOptions;
  readonly #queue: Pending[] = [];
  /** Index in #queue of what is to be looked up next. */
  #at = 0;
  /** What was asked for, and the alias it turned out to be, if it did. */
  readonly #asked = new Map<string, string | undefined>();
  readonly #opened = new Set<string>();
  readonly #accounts = new Set<string>();
  /** By address: elsewhere, local parts that differ in case are different people (RFC 5321 2.4). */
  readonly #forwards = new Map<string, Forward>();
  readonly #problems: ExpansionProblem[] = [];
  #crowded = false;
  /** What the recipient itself was taken for. */
  readonly route: Route;

  constructor(recipient: Address, topology: Topology, options: ResolveOptions = {}) {
    this.#topology = topology;
    this.#options = options;
    this.route = resolve(recipient, topology, options);
    this.#follow(this.route, formatAddress(recipient), []);
  }

  /** What to do next; the same again until found() was called. */
  next(): ExpansionStep {
    const pending = this.#queue[this.#at];
    if (pending !== undefined) return { kind: "look-up", names: pending.names };
    return {
      kind: "done",
      accounts: [...this.#accounts],
      forwards: [...this.#forwards.values()],
      problems: this.#problems,
    };
  }

  /**
   * Says what was found of the names last asked for.
   * @throws {Error} where nothing was asked
   */
  found(found: Found): void {
    const pending = this.#queue[this.#at];
    if (pending === undefined) throw new Error("found() was called though next() asked for nothing");
    this.#at++;
    if (found.kind === "account") this.#accounts.add(found.name);
    else if (found.kind === "alias") {
      this.#asked.set(keyOf(pending.names), found.name);
      this.#open(found.name, found.targets, pending.path);
    } else this.#problem("unknown", `${pending.written} is nobody here`, pending.path);
  }

  #open(alias: string, targets: readonly string[], path: readonly string[]): void {
    if (path.includes(alias)) return this.#problem("loop", `${alias} leads back to itself`, path);
    if (this.#opened.has(alias)) return;
    if (path.length >= ALIAS_DEPTH) {
      return this.#problem("limit", `aliases go deeper than ${ALIAS_DEPTH} at ${alias}`, path);
    }
    this.#opened.add(alias);
    const inside = [...path, alias];
    for (const target of targets) this.#target(target, inside);
  }

  /** A target is an address, or a name without domain. */
  #target(target: string, path: readonly string[]): void {
    if (!target.includes("@")) {
      const local = parseLocalPart(target);
      if (typeof local !== "string") return this.#problem("unknown", local.error, path);
      return this.#ask({ written: target, names: bareNameCandidates(local, this.#topology), path });
    }
    const address = parseAddress(target);
    if ("error" in address) return this.#problem("unknown", address.error, path);
    this.#follow(resolve(address, this.#topology, this.#options), target, path);
  }

  #follow(route: Route, written: string, path: readonly string[]): void {
    if (route.channel === "local") this.#ask({ written, names: route.names, path });
    else if (route.channel === "smtp") this.#forward(route, path);
    else this.#problem("outside", route.reply.lines.join(" "), path);
  }

  #forward(route: Forward["route"], path: readonly string[]): void {
    const { recipient } = route;
    const key = formatAddress({ ...recipient, domain: canonicalDomain(recipient.domain) });
    if (this.#forwards.has(key) || this.#isCrowded(path)) return;
    this.#forwards.set(key, { recipient, route });
  }

  #ask(pending: Pending): void {
    const key = keyOf(pending.names);
    if (this.#asked.has(key)) {
      // What it stands for is found or on its way; only a way back to an alias on this path is worth saying.
      const alias = this.#asked.get(key);
      if (alias !== undefined && pending.path.includes(alias)) {
        this.#problem("loop", `${alias} leads back to itself`, pending.path);
      }
      return;
    }
    if (this.#isCrowded(pending.path)) return;
    this.#asked.set(key, undefined);
    this.#queue.push(pending);
  }

  #isCrowded(path: readonly string[]): boolean {
    if (this.#asked.size + this.#forwards.size < ALIAS_NAMES) return false;
    if (!this.#crowded) this.#problem("limit", `aliases come to more than ${ALIAS_NAMES} names`, path);
    this.#crowded = true;
    return true;
  }

  #problem(kind: ExpansionProblem["kind"], text: string, path: readonly string[]): void {
    const by = path.length === 0 ? "" : ` (by alias ${path.join(" > ")})`;
    this.#problems.push({ kind, text: text + by });
  }
}

function keyOf(names: readonly string[]): string {
  return names.join("\n");
}
