/**
 * `emsmail mail save`: attachments, or a whole message, to files.
 *
 * Guarantees: a file is written into the folder named and nowhere else, whatever the message calls it; nothing that is
 * there is overwritten unless asked for; contents of any size pass at constant memory; what couldn't be written whole is
 * not left behind.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { AdminError } from "../admin/error.ts";
import { openAttachments, openPackage } from "../admin/mail.ts";
import { printableLine } from "../base/printable.ts";
import { withStore } from "./context.ts";
import { writeWhole } from "./files.ts";
import type { Io } from "./io.ts";
import type { Options } from "./program.ts";
import { formatSize } from "./time.ts";
import { positiveNumber } from "./values.ts";

export async function mailSave(io: Io, id: string, options: Options): Promise<void> {
  const user = String(options.user);
  const part = positiveNumber(options, "--part");
  await withStore(options, async (context) => {
    if (options.package === true) {
      const { name, parts } = await openPackage(context, user, id);
      const file = target(name, options);
      await check([file]);
      return await save(io, file, parts);
    }
    const { attachments, contents } = await openAttachments(context, user, { id, part });
    const files = distinct(attachments.map(({ name }) => name)).map((name) => target(name, options));
    // Before anything is written, so that all are saved or none.
    await check(files);
    const source = contents[Symbol.asyncIterator]();
    for (const file of files) await save(io, file, oneOf(source));
  }, { access: "read" });
}

/** A file to be written. */
interface Target {
  readonly path: string;
  readonly replace: "yes" | "no";
}

function target(name: string, options: Options): Target {
  const folder = typeof options.output === "string" ? options.output : ".";
  return { path: join(folder, name), replace: options.force === true ? "yes" : "no" };
}

// deno-lint-ignore require-await -- so that what it throws is a rejection
async function check(files: readonly Target[]): Promise<void> {
  const there = files.filter(({ path, replace }) => replace === "no" && existsSync(path));
  if (there.length === 0) return;
  throw new AdminError(
    `nothing was saved: there is ${there.map(({ path }) => path).join(", ")} already`,
    "choose another folder with --output, or replace what is there with --force",
  );
}

/** Names of which none is there twice: `a.txt`, `a-2.txt`. */
export function distinct(names: readonly string[]): string[] {
  const used = new Set<string>();
  return names.map((name) => {
    let free = name;
    const dot = name.lastIndexOf(".") > 0 ? name.lastIndexOf(".") : name.length;
    // File systems that ignore case take two such names for one.
    for (let number = 2; used.has(free.toLowerCase()); number++) {
      free = `${name.slice(0, dot)}-${number}${name.slice(dot)}`;
    }
    used.add(free.toLowerCase());
    return free;
  });
}

/** The contents of the next attachment. */
async function* oneOf(
  source: AsyncIterator<{ readonly octets: Uint8Array; readonly end: boolean }>,
): AsyncGenerator<Uint8Array> {
  for (let step = await source.next(); step.done !== true; step = await source.next()) {
    yield step.value.octets;
    if (step.value.end) return;
  }
}

async function save(io: Io, { path, replace }: Target, octets: AsyncIterable<Uint8Array>): Promise<void> {
  const written = await writeWhole(path, octets, {
    replace,
    advice: "choose another folder with --output",
  });
  await io.out(`Saved ${printableLine(path)} (${formatSize(written)}).\n`);
}
