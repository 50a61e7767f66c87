/**
 * `emsmail topology`: the network that the configuration makes, drawn.
 *
 * @module
 */
import { describeTopology, drawTopology } from "../admin/topology.ts";
import { type Io, json } from "./io.ts";
import type { Options } from "./program.ts";
import { loadConfig } from "./settings.ts";

export async function topology(io: Io, options: Options): Promise<void> {
  const config = await loadConfig(options);
  if (options.json === true) return await io.out(json(describeTopology(config)));
  const lines = drawTopology(config, options.ascii === true ? "ascii" : "unicode");
  await io.out(lines.map((line) => `${line}\n`).join(""));
}
