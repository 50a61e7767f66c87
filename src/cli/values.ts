/**
 * Option values that are more than words.
 *
 * @module
 */
import { usageError } from "../admin/error.ts";
import type { IdentitySettings } from "../admin/profiles.ts";
import type { UserSettings } from "../admin/users.ts";
import { duration, faultText, integer, type Kind, octets } from "../config/kinds.ts";
import type { Options } from "./program.ts";

/** The settings of an account that were given. @throws {AdminError} `usage` */
export function userSettings(options: Options): UserSettings {
  const { pop3, sendAs, view } = options as Pick<UserSettings, "pop3" | "sendAs" | "view">;
  const { forward } = options as { readonly forward?: readonly string[] | false };
  return {
    pop3,
    sendAs,
    view,
    ...identitySettings(options),
    forward: forward === false ? "none" : forward,
    forwardKeep: yesOrNo(options.forwardKeep),
    quotaBytes: limit(options, "--quota-bytes", octets()),
    quotaMessages: limit(options, "--quota-messages", integer(0)),
  };
}

/** Who somebody is, as far as it was given. */
export function identitySettings(options: Options): IdentitySettings {
  const { displayName, department, phone } = options as IdentitySettings;
  return { displayName, department, phone };
}

/** What `--x` and `--no-x` say; undefined where neither was given. */
export function yesOrNo(given: unknown): "yes" | "no" | undefined {
  return given === undefined ? undefined : given === true ? "yes" : "no";
}

/** A whole number of at least 1, or undefined where the option was not given. @throws {AdminError} `usage` */
export function positiveNumber(options: Options, name: string): number | undefined {
  const given = options[camelCase(name)];
  return given === undefined ? undefined : readValue(given, name, integer(1));
}

/** A span of time in milliseconds, or undefined where the option was not given. @throws {AdminError} `usage` */
export function timeSpan(options: Options, name: string): number | undefined {
  const given = options[camelCase(name)];
  return given === undefined ? undefined : readValue(given, name, duration());
}

function limit(options: Options, name: string, kind: Kind<number>): number | "default" | undefined {
  const given = options[camelCase(name)];
  if (given === undefined || given === "default") return given;
  return given === "none" ? 0 : readValue(given, name, kind);
}

function readValue(given: unknown, name: string, kind: Kind<number>): number {
  const reading = kind.read(given);
  if ("value" in reading) return reading.value;
  const fault = reading.faults[0]!;
  throw usageError(
    `${name} ${faultText(fault)}`,
    fault.suggestion === undefined ? "" : `did you mean ${fault.suggestion}?`,
  );
}

/** `--quota-bytes` to `quotaBytes`, as the parser names it. */
function camelCase(name: string): string {
  return name.replace(/^--/, "").replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
