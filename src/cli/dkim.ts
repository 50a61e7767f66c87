/**
 * `emsmail dkim …`: signing keys, at the command line.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import * as dkim from "../admin/dkim.ts";
import { AdminError, usageError } from "../admin/error.ts";
import { printableLine } from "../base/printable.ts";
import { withStore } from "./context.ts";
import { bold, type Io, json } from "./io.ts";
import type { Options } from "./program.ts";
import { canAsk, confirm } from "./prompt.ts";
import { withDns } from "./resolver.ts";
import { formatTable } from "./table.ts";
import { formatMinute } from "./time.ts";

/** A key file of RSA 4096 has 3,300 octets. */
const KEY_FILE_OCTETS = 64 * 1024;

export async function dkimAdd(io: Io, domain: string, options: Options): Promise<void> {
  const { selector, algorithm, bits } = options as {
    readonly selector?: string;
    readonly algorithm?: dkim.NewSigningKeys["algorithm"];
    readonly bits?: string;
  };
  const wanted = { domain, selector, algorithm, bits: bits === undefined ? undefined : Number(bits) };
  const added = await withStore(options, (context) => dkim.addSigningKeys(context, wanted), {
    access: "create",
  });
  await tellAdded(io, added, options);
}

export async function dkimImport(
  io: Io,
  { domain, selector, file }: { readonly domain: string; readonly selector: string; readonly file: string },
  options: Options,
): Promise<void> {
  const text = await readKeyFile(file);
  const added = await withStore(
    options,
    (context) => dkim.importSigningKey(context, { domain, selector, text }),
    { access: "create" },
  );
  await tellAdded(io, added, options);
}

export async function dkimList(io: Io, options: Options): Promise<void> {
  const all = await withStore(options, dkim.listSigningKeys, { access: "read" });
  if (options.json === true) return await io.out(json(all));
  if (all.length === 0) {
    return await io.out("There are no signing keys yet. Make some with: emsmail dkim add DOMAIN\n");
  }
  await io.out(formatTable(
    [{ title: "domain", shrinks: true }, { title: "selector" }, { title: "algorithm" }, { title: "signs" }, {
      title: "created",
    }],
    all.map((key) => [
      key.domain,
      key.selector,
      kindText(key),
      key.signs ? "yes" : "no",
      formatMinute(Date.parse(key.createdAt)),
    ]),
    { width: io.width, bold: io.colour },
  ));
}

export async function dkimShow(io: Io, domain: string, options: Options): Promise<void> {
  const keys = await withStore(options, (context) => dkim.showSigningKeys(context, domain), {
    access: "read",
  });
  if (options.json === true) return await io.out(json(keys));
  await io.out(recordsText(keys, io));
}

/** Exit code 0: all right; 1: something is not; 75: DNS could not be asked. */
export async function dkimCheck(io: Io, domain: string, options: Options): Promise<number> {
  const checks = await withStore(
    options,
    (context) => withDns(context.config, (dns) => dkim.checkSigningKeys(context, domain, dns)),
    { access: "read" },
  );
  const verdicts = checks.map(({ verdict }) => verdict);
  const code = verdicts.some((each) => each === "wrong" || each === "absent")
    ? 1
    : verdicts.includes("unknown")
    ? 75
    : 0;
  if (options.json === true) await io.out(json(checks));
  else {
    await io.out(checks.map((check) => checkText(check, io)).join(""));
    if (code === 1) await io.out(`\nWhat is to be published: emsmail dkim show ${checks[0]!.domain}\n`);
  }
  return code;
}

export async function dkimRemove(
  io: Io,
  { domain, selector }: { readonly domain: string; readonly selector: string },
  options: Options,
): Promise<void> {
  await withStore(options, async (context) => {
    const key = await dkim.showSigningKey(context, domain, selector);
    const what = `the key ${key.selector} of ${key.domain}`;
    if (options.yes !== true) {
      if (!canAsk()) {
        throw usageError(`removing ${what} can't be undone, and there is no terminal to ask on`, "say --yes");
      }
      if (!await confirm(`Remove ${what}? This can't be undone.`)) {
        throw new AdminError("nothing was removed");
      }
    }
    const { left } = await dkim.removeSigningKey(context, key.domain, key.selector);
    await io.out(`Removed ${what}.\n${leftText(key, left)}`);
    await io.out(
      `Leave ${key.record.name} in DNS for another week: mail on its way is still verified by it.\n`,
    );
  }, { access: "change" });
}

function leftText({ domain }: dkim.SigningKeyView, left: readonly dkim.SigningKeyView[]): string {
  const signing = left.filter(({ signs }) => signs).map(({ selector }) => selector);
  return signing.length === 0
    ? `Mail of ${domain} is not signed any more.\n`
    : `Mail of ${domain} is signed by ${signing.join(" and ")}.\n`;
}

async function readKeyFile(path: string): Promise<string> {
  let octets: Uint8Array;
  try {
    octets = await readFile(path);
  } catch (error) {
    throw new AdminError(
      `can't read ${path}: ${(error as Error).message}`,
      "name the file that holds the private key",
    );
  }
  if (octets.length > KEY_FILE_OCTETS) throw usageError(`${path} is too large to be a key`);
  return new TextDecoder().decode(octets);
}

async function tellAdded(io: Io, { keys, warnings }: dkim.AddedKeys, options: Options): Promise<void> {
  if (options.json === true) await io.out(json(keys));
  else {
    const { domain } = keys[0]!;
    const several = keys.length > 1;
    await io.out(
      `Added ${several ? "keys" : "a key"} for ${domain}. Publish in DNS:\n\n${recordsText(keys, io)}\n` +
        `Then see whether ${several ? "they are" : "it is"} there: emsmail dkim check ${domain}\n` +
        "Mail is signed from now on; until DNS has the record, others take it for unsigned.\n",
    );
  }
  for (const warning of warnings) await io.err(`${bold("emsmail:", io.colourErr)} note: ${warning}\n`);
}

/** Each record as a form in a browser wants it, and as a zone file does. */
function recordsText(keys: readonly dkim.SigningKeyView[], io: Io): string {
  return keys.map((key) =>
    `${bold(key.selector, io.colour)} (${kindText(key)}${key.signs ? "" : ", not signing yet"})\n` +
    `  Name:      ${key.record.name}\n` +
    `  Type:      ${key.record.type}\n` +
    `  Value:     ${key.record.text}\n` +
    `  Zone file: ${key.record.zoneLine}\n`
  ).join("\n");
}

function checkText(check: dkim.SigningKeyCheck, io: Io): string {
  const words = { right: "right", wrong: "wrong", absent: "not published", unknown: "could not be asked" };
  const remarks = check.remarks.map((remark) => `  ${printableLine(remark)}\n`).join("");
  return `${bold(check.selector, io.colour)} (${kindText(check)}): ${words[check.verdict]}\n${remarks}`;
}

function kindText({ algorithm, bits }: dkim.SigningKeyView): string {
  return algorithm === "rsa" ? `RSA ${bits}` : "Ed25519";
}
