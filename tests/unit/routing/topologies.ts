/**
 * The seed's four networks, as routing sees them.
 *
 * @module
 */
import type { RelayHost, Topology } from "../../../src/routing/route.ts";

/** A host on port 25. */
export function host(name: string): RelayHost {
  return { host: name, port: 25, tls: "opportunistic" };
}

export const INTRANET: Topology = {
  mode: "intranet",
  domains: ["example.org", "plant.example"],
  plus: "+",
  outbound: "dump",
  routes: [],
  senders: [],
  unreachableAfterMs: 1000,
};

export const DIRECT: Topology = { ...INTRANET, mode: "direct" };
export const BUFFER: Topology = { ...INTRANET, mode: "buffer", buffer: host("unix.example.org") };
export const COMBINED: Topology = { ...BUFFER, mode: "combined" };
export const ALL: readonly Topology[] = [
  INTRANET,
  DIRECT,
  { ...DIRECT, fallback: host("isp.example") },
  BUFFER,
  { ...BUFFER, outbound: "direct-first" },
  COMBINED,
];
