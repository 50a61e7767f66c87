/**
 * Finds whose maildrops a recipient stands for, and which addresses elsewhere, through aliases, lists, shadows and users'
 * forwarding, without looking anything up itself.
 *
 * The caller asks next() what to look up, looks the names up in turn (each may be any kind of {@linkcode Found}), and tells
 * found() about the first that exists, until next() says that it is done:
 *
 * ```ts
 * const expansion = new Expansion(recipient, topology);
 * let step = expansion.next();
 * for (; step.kind === "look-up"; step = expansion.next()) expansion.found(await lookUp(step.names));
 * // step.accounts, step.forwards, step.problems
 * ```
 *
 * Guarantees: ends, whatever the directory says; an account or address comes out once; a name is opened once, nearest first;
 * {@linkcode ALIAS_DEPTH} names deep and {@linkcode ALIAS_NAMES} names wide at most. What leads nowhere becomes a
 * problem, and doesn't keep the mail from everybody else.
 *
 * A user's mail is never lost to the user's own forwarding. The maildrop gets it, whether it was to be kept or not, where
 * the forwarding leads back to the user, by whatever way, and where it leads to nobody at all. So of users who forward to each
 * other in a circle, each gets it. None of this depends on the order in which names are found.
 *
 * Who may send to where a recipient itself leads is for the caller to judge ({@linkcode Expansion.route}). What a name leads
 * to is not asked for that: an operator made the name, so that whoever may write to it reaches everybody behind it.
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
import { circular } from "./circles.ts";
import { bareNameCandidates } from "./local.ts";
import { resolve, type ResolveOptions, type Route, type Topology } from "./route.ts";

/** What the first existing name of a look-up is. */
export type Found =
  | {
    readonly kind: "account";
    readonly name: string;
    /** Where its mail goes besides its maildrop (`keep`), or instead. */
    readonly forward?: { readonly to: readonly string[]; readonly keep: boolean } | undefined;
  }
  | { readonly kind: "alias"; readonly name: string; readonly targets: readonly string[] }
  /** A local name for an outside person. */
  | { readonly kind: "shadow"; readonly name: string; readonly address: string; readonly inbound: boolean }
  | {
    readonly kind: "list";
    readonly name: string;
    readonly members: readonly string[];
    readonly owner?: string | undefined;
  }
  | { readonly kind: "nothing" };

export interface ExpansionProblem {
  /**
   * - `unknown`: nobody has the name
   * - `outside`: routing refuses the address
   * - `empty`: a list has no members
   * - `loop`: an alias, list or shadow leads back to itself, and by no user's forwarding
   * - `limit`: too deep, or too many names
   */
  readonly kind: "unknown" | "outside" | "empty" | "loop" | "limit";
  /** A sentence for the log, `emsmail trace`, and the sender. */
  readonly text: string;
}

/** An address elsewhere, and the way there. */
export interface Forward {
  readonly recipient: Address;
  readonly route: Extract<Route, { readonly channel: "smtp" | "gateway" }>;
  /** The list that led here, the innermost of several (RFC 5321 3.9.2: its members' mail comes from who keeps it). */
  readonly list?: { readonly name: string; readonly owner: string | undefined };
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
    /** The recipient itself is a list, or stands for one and nothing else. */
    readonly list: "no" | "yes";
    /** The recipient itself is a shadow that takes no mail from strangers. */
    readonly closed: "no" | "yes";
  };

/** A name that stands for others. */
interface Via {
  readonly kind: "alias" | "shadow" | "list" | "user";
  readonly name: string;
}

/** How a name was come to. */
interface Trail {
  /** What led here, outermost first. */
  readonly path: readonly Via[];
  /** The innermost list of the path. */
  readonly list: Forward["list"];
  /** Whether each of the path stands for the next one alone. */
  readonly branches: "no" | "yes";
}

/** A name still to be looked up. */
interface Pending {
  /** As the sender or the directory has it. */
  readonly written: string;
  readonly names: readonly string[];
  readonly trail: Trail;
}

const START: Trail = { path: [], list: undefined, branches: "no" };

export class Expansion {
  readonly #topology: Topology;
  readonly #options: ResolveOptions;
  readonly #queue: Pending[] = [];
  /** Index in #queue of what is to be looked up next. */
  #at = 0;
  /** What was asked for, and whose name it turned out to be, if anybody's. */
  readonly #asked = new Map<string, string | undefined>();
  /** What each opened name has asked for in its turn. */
  readonly #opened = new Map<string, string[]>();
  /** Opened names that have an address elsewhere among their targets. */
  readonly #leading = new Set<string>();
  readonly #accounts = new Set<string>();
  /** Accounts whose mail goes on, and isn't to be kept. */
  readonly #sendingOn = new Set<string>();
  /** By address: elsewhere, local parts that differ in case are different people (RFC 5321 2.4). */
  readonly #forwards = new Map<string, Forward>();
  readonly #problems: ExpansionProblem[] = [];
  #crowded = false;
  #list: "no" | "yes" = "no";
  #closed: "no" | "yes" = "no";
  /** What the recipient itself was taken for. */
  readonly route: Route;

  constructor(recipient: Address, topology: Topology, options: ResolveOptions = {}) {
    this.#topology = topology;
    this.#options = options;
    this.route = resolve(recipient, topology, options);
    this.#follow(this.route, formatAddress(recipient), START);
  }

  /** What to do next; the same again until found() was called. */
  next(): ExpansionStep {
    const pending = this.#queue[this.#at];
    if (pending !== undefined) return { kind: "look-up", names: pending.names };
    return {
      kind: "done",
      accounts: this.#maildrops(),
      forwards: [...this.#forwards.values()],
      problems: this.#problems,
      list: this.#list,
      closed: this.#closed,
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
    const { trail, written, names } = pending;
    if (found.kind === "nothing") return this.#problem("unknown", `${written} is nobody here`, trail);
    this.#asked.set(keyOf(names), found.name);
    if (found.kind === "account") {
      this.#accounts.add(found.name);
      if (found.forward === undefined) return;
      if (!found.forward.keep) this.#sendingOn.add(found.name);
      return this.#open({ kind: "user", name: found.name }, found.forward.to, trail);
    }
    if (found.kind === "shadow") {
      if (trail.path.length === 0 && !found.inbound) this.#closed = "yes";
      return this.#open(found, [found.address], trail);
    }
    if (found.kind === "alias") return this.#open(found, found.targets, trail);
    if (trail.branches === "no") this.#list = "yes";
    if (found.members.length === 0) this.#problem("empty", `${found.name} has no members`, trail);
    const { name, owner } = found;
    this.#open(found, found.members, { ...trail, list: { name, owner } });
  }

  #open({ kind, name }: Via, targets: readonly string[], trail: Trail): void {
    const { path, list } = trail;
    if (this.#isLoop(name, trail) || this.#opened.has(name)) return;
    if (path.length >= ALIAS_DEPTH) {
      return this.#problem("limit", `names lead on more than ${ALIAS_DEPTH} times at ${name}`, trail);
    }
    this.#opened.set(name, []);
    const branches = targets.length === 1 ? trail.branches : "yes";
    const inside = { path: [...path, { kind, name }], list, branches };
    for (const target of targets) this.#target(target, inside);
  }

  /** A target is an address, or a name without domain. */
  #target(target: string, trail: Trail): void {
    if (!target.includes("@")) {
      const local = parseLocalPart(target);
      if (typeof local !== "string") return this.#problem("unknown", local.error, trail);
      return this.#ask({ written: target, names: bareNameCandidates(local, this.#topology), trail });
    }
    const address = parseAddress(target);
    if ("error" in address) return this.#problem("unknown", address.error, trail);
    this.#follow(resolve(address, this.#topology, this.#options), target, trail);
  }

  #follow(route: Route, written: string, trail: Trail): void {
    if (route.channel === "local") this.#ask({ written, names: route.names, trail });
    else if (route.channel === "refused") this.#problem("outside", route.reply.lines.join(" "), trail);
    else this.#forward(route, trail);
  }

  #forward(route: Forward["route"], trail: Trail): void {
    const { recipient } = route;
    const { path, list } = trail;
    const key = formatAddress({ ...recipient, domain: canonicalDomain(recipient.domain) });
    if (!this.#forwards.has(key)) {
      if (this.#isCrowded(trail)) return;
      this.#forwards.set(key, list === undefined ? { recipient, route } : { recipient, route, list });
    }
    const via = path.at(-1);
    if (via !== undefined) this.#leading.add(via.name);
  }

  #ask(pending: Pending): void {
    const { names, trail } = pending;
    const key = keyOf(names);
    const isNew = !this.#asked.has(key);
    if (isNew && this.#isCrowded(trail)) return;
    const via = trail.path.at(-1);
    if (via !== undefined) this.#opened.get(via.name)!.push(key);
    if (isNew) {
      this.#asked.set(key, undefined);
      this.#queue.push(pending);
      return;
    }
    // What it stands for is found or on its way; only a way back to a name on this path is worth saying.
    const name = this.#asked.get(key);
    if (name !== undefined) this.#isLoop(name, trail);
  }

  /** A circle with a user's forwarding in it ends in that user's maildrop; one without delivers to nobody. */
  #isLoop(name: string, trail: Trail): boolean {
    const at = trail.path.findIndex((via) => via.name === name);
    if (at < 0) return false;
    if (!trail.path.slice(at).some(({ kind }) => kind === "user")) {
      this.#problem("loop", `${name} leads back to itself`, trail);
    }
    return true;
  }

  #isCrowded(trail: Trail): boolean {
    if (this.#asked.size + this.#forwards.size < ALIAS_NAMES) return false;
    if (!this.#crowded) this.#problem("limit", `it comes to more than ${ALIAS_NAMES} names`, trail);
    this.#crowded = true;
    return true;
  }

  #problem(kind: ExpansionProblem["kind"], text: string, { path }: Trail): void {
    this.#problems.push({ kind, text: path.length === 0 ? text : `${text} (by ${pathWords(path)})` });
  }

  /** The accounts that get the mail themselves. */
  #maildrops(): readonly string[] {
    const accounts = [...this.#accounts];
    if (this.#sendingOn.size === 0) return accounts;
    const graph = new Map<string, string[]>();
    for (const [name, keys] of this.#opened) {
      graph.set(name, keys.flatMap((key) => this.#asked.get(key) ?? []));
    }
    const circles = circular(graph);
    const delivering = this.#delivering(graph);
    return accounts.filter((name) =>
      !this.#sendingOn.has(name) || circles.has(name) ||
      !(this.#leading.has(name) || (graph.get(name) ?? []).some((next) => delivering.has(next)))
    );
  }

  /** Names whose mail gets to somebody: every account, and what leads to one or to an address elsewhere. */
  #delivering(graph: ReadonlyMap<string, readonly string[]>): ReadonlySet<string> {
    const parents = new Map<string, string[]>();
    for (const [name, nexts] of graph) {
      for (const next of nexts) {
        const known = parents.get(next);
        if (known === undefined) parents.set(next, [name]);
        else known.push(name);
      }
    }
    const delivering = new Set([...this.#accounts, ...this.#leading]);
    // What is added while the loop runs is visited too.
    for (const name of delivering) for (const parent of parents.get(name) ?? []) delivering.add(parent);
    return delivering;
  }
}

function keyOf(names: readonly string[]): string {
  return names.join("\n");
}

/** `alias sales > boss > list staff`: a kind is said where it changes. */
function pathWords(path: readonly Via[]): string {
  return path.map(({ kind, name }, i) => path[i - 1]?.kind === kind ? name : `${kind} ${name}`).join(" > ");
}
