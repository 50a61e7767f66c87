/**
 * Which members of a directed graph lead back to themselves.
 *
 * Guarantees: pure; in time proportional to the graph (Tarjan's strongly connected components), and without recursion,
 * since a directory may be a chain of thousands.
 *
 * @module
 */

/** What each name leads to; what isn't a key leads nowhere. */
export type Graph = ReadonlyMap<string, readonly string[]>;

interface Visit {
  readonly name: string;
  readonly order: number;
  /** The earliest name still open that can be got to from here, by its order. */
  low: number;
  /** Which of what it leads to comes next. */
  at: number;
}

/**
 * The names from which a way leads back to the same name.
 *
 * ```ts
 * circular(new Map([["a", ["b"]], ["b", ["a", "c"]], ["c", []]])); // Set { "b", "a" }
 * ```
 */
export function circular(graph: Graph): ReadonlySet<string> {
  const orders = new Map<string, number>();
  const circles = new Set<string>();
  for (const start of graph.keys()) {
    if (!orders.has(start)) walk(start, { graph, orders, circles });
  }
  return circles;
}

interface Progress {
  readonly graph: Graph;
  /** Names seen, each with its place among them. */
  readonly orders: Map<string, number>;
  readonly circles: Set<string>;
}

function walk(start: string, { graph, orders, circles }: Progress): void {
  /** Seen, and not yet known to be in a circle or not. */
  const open: string[] = [];
  const isOpen = new Set<string>();
  const way: Visit[] = [];
  const enter = (name: string): void => {
    const order = orders.size;
    orders.set(name, order);
    open.push(name);
    isOpen.add(name);
    way.push({ name, order, low: order, at: 0 });
  };
  enter(start);
  for (let visit = way.at(-1); visit !== undefined; visit = way.at(-1)) {
    const next = graph.get(visit.name)?.[visit.at++];
    if (next !== undefined) {
      if (next === visit.name) circles.add(next);
      if (!orders.has(next)) enter(next);
      else if (isOpen.has(next)) visit.low = Math.min(visit.low, orders.get(next)!);
      continue;
    }
    way.pop();
    const before = way.at(-1);
    if (before !== undefined) before.low = Math.min(before.low, visit.low);
    if (visit.low === visit.order) close(visit.name, { open, isOpen, circles });
  }
}

/** Takes out all that is open down to a name: with others they are a circle, alone it isn't in one. */
function close(
  name: string,
  { open, isOpen, circles }: {
    readonly open: string[];
    readonly isOpen: Set<string>;
    readonly circles: Set<string>;
  },
): void {
  const members = open.splice(open.lastIndexOf(name));
  for (const member of members) {
    isOpen.delete(member);
    if (members.length > 1) circles.add(member);
  }
}
