/**
 * The configuration as a command finds it: the file, with the command line's options over it.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { AdminError, usageError } from "../admin/error.ts";
import { applyOverrides, formatProblem, parseConfig } from "../config/config.ts";
import type { Config, ConfigResult } from "../config/config.ts";
import type { Options } from "./program.ts";

const DEFAULT_FILE = "emsmail.yaml";

/** The file that holds the configuration; undefined where there is none, which is all right. */
export function configFile(options: Options): string | undefined {
  if (typeof options.config === "string") return options.config;
  return existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined;
}

/**
 * Reads the configuration anew. @throws {AdminError} with everything that is wrong with it, a line each; `usage` where
 * it is the command line that is wrong
 */
export async function loadConfig(options: Options): Promise<Config> {
  const file = configFile(options);
  const text = file === undefined ? "" : await readConfigFile(file);
  const result = parseConfig(text, { file: file ?? "the defaults", machineName: hostname() });
  const config = configOf(
    result,
    (lines) => new AdminError(`the configuration is wrong:\n${lines.join("\n")}`),
  );
  const { data, relayMode, domain } = options as { data?: string; relayMode?: string; domain?: string[] };
  const overridden = applyOverrides(config, {
    data,
    relayMode,
    domain,
    hostname: options.hostname as string,
  });
  return configOf(overridden, (lines) => usageError(lines.join("\n")));
}

async function readConfigFile(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") {
      throw new AdminError(
        `there is no file ${file}`,
        "make one with: emsmail config example > emsmail.yaml",
      );
    }
    throw new AdminError(`can't read ${file}: ${message}`);
  }
}

function configOf(result: ConfigResult, fail: (lines: readonly string[]) => AdminError): Config {
  if ("config" in result) return result.config;
  throw fail(result.problems.map(formatProblem));
}
