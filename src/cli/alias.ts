/**
 * `emsmail alias …`: names that stand for others, at the command line.
 *
 * @module
 */
import { addAlias, type AliasView, listAliases, removeAlias } from "../admin/aliases.ts";
import { withStore } from "./context.ts";
import { type Io, json } from "./io.ts";
import type { Options } from "./program.ts";
import { formatTable } from "./table.ts";

export async function aliasAdd(io: Io, alias: AliasView, options: Options): Promise<void> {
  const made = await withStore(options, (context) => addAlias(context, alias), { access: "change" });
  await io.out(`${whatGoes(made.name)} to ${made.targets.join(", ")}.\n`);
}

export async function aliasList(io: Io, options: Options): Promise<void> {
  const all = await withStore(options, listAliases, { access: "read" });
  if (options.json === true) return await io.out(json(all));
  if (all.length === 0) {
    return await io.out("There are no aliases yet. Make one with: emsmail alias add NAME TARGET...\n");
  }
  await io.out(formatTable(
    [{ title: "name" }, { title: "targets", shrinks: true }],
    all.map(({ name, targets }) => [name, targets.join(", ")]),
    { width: io.width, bold: io.colour },
  ));
}

export async function aliasRemove(io: Io, alias: AliasView, options: Options): Promise<void> {
  const left = await withStore(options, (context) => removeAlias(context, alias), { access: "change" });
  await io.out(
    left.targets.length === 0
      ? `Removed the alias ${left.name}.\n`
      : `${whatGoes(left.name)} to ${left.targets.join(", ")}.\n`,
  );
}

/** `Mail for sales now goes`. */
function whatGoes(name: string): string {
  return name.startsWith("@")
    ? `Mail for names that ${name.slice(1)} doesn't know now goes`
    : `Mail for ${name} now goes`;
}
