/**
 * `emsmail nickname …`: a user's own names for others, at the command line.
 *
 * @module
 */
import * as nicknames from "../admin/nicknames.ts";
import { printableLine } from "../base/printable.ts";
import { withStore } from "./context.ts";
import { type Io, json } from "./io.ts";
import type { Options } from "./program.ts";
import { formatTable } from "./table.ts";

export async function nicknameAdd(io: Io, given: nicknames.NicknameView, options: Options): Promise<void> {
  const user = String(options.user);
  const made = await withStore(options, (context) => nicknames.addNickname(context, { ...given, user }), {
    access: "change",
  });
  await io.out(`For ${printableLine(user)}, ${made.name} now is ${made.addresses.join(", ")}.\n`);
}

export async function nicknameList(io: Io, options: Options): Promise<void> {
  const user = String(options.user);
  const all = await withStore(options, (context) => nicknames.listNicknames(context, user), {
    access: "read",
  });
  if (options.json === true) return await io.out(json(all));
  if (all.length === 0) return await io.out(`${printableLine(user)} has no nicknames.\n`);
  await io.out(formatTable(
    [{ title: "nickname" }, { title: "addresses", shrinks: true }],
    all.map(({ name, addresses }) => [name, addresses.join(", ")]),
    { width: io.width, bold: io.colour },
  ));
}

export async function nicknameRemove(io: Io, given: nicknames.NicknameView, options: Options): Promise<void> {
  const user = String(options.user);
  const left = await withStore(options, (context) => nicknames.removeNickname(context, { ...given, user }), {
    access: "change",
  });
  await io.out(
    left.addresses.length === 0
      ? `Removed the nickname ${left.name}.\n`
      : `For ${printableLine(user)}, ${left.name} now is ${left.addresses.join(", ")}.\n`,
  );
}
