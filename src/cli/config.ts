/**
 * `emsmail config …`: the configuration checked, explained and begun.
 *
 * @module
 */
import { configReference, describeConfig, exampleConfig } from "../config/describe.ts";
import { type Io, json } from "./io.ts";
import type { Options } from "./program.ts";
import { configFile, loadConfig } from "./settings.ts";

export async function configCheck(io: Io, options: Options): Promise<void> {
  const config = await loadConfig(options);
  const file = configFile(options);
  await io.out(
    file === undefined
      ? "There is no emsmail.yaml here: the defaults are in force.\n"
      : `${file} is all right.\n`,
  );
  await io.out(
    `${config.hostname} would serve ${config.domains.join(", ")} in mode ${config.relay.mode}, ` +
      `with its data in ${config.data}.\n`,
  );
}

export async function configDescribe(io: Io, options: Options): Promise<void> {
  await io.out(options.json === true ? json(describeConfig()) : configReference());
}

export async function configExample(io: Io): Promise<void> {
  await io.out(exampleConfig());
}
