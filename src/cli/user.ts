/**
 * `emsmail user …`: accounts, at the command line.
 *
 * @module
 */
import type { AdminContext } from "../admin/context.ts";
import { AdminError, usageError } from "../admin/error.ts";
import { makePassword } from "../admin/passwords.ts";
import * as users from "../admin/users.ts";
import { withStore } from "./context.ts";
import { type Fact, formatFacts, listed } from "./facts.ts";
import { bold, type Io, json } from "./io.ts";
import type { Options } from "./program.ts";
import { askNewPassword, canAsk, confirm, readPasswordFromStdin } from "./prompt.ts";
import { formatTable } from "./table.ts";
import { count, formatMinute, formatSecond, formatSize } from "./time.ts";
import { userSettings } from "./values.ts";

export async function userAdd(io: Io, name: string, options: Options): Promise<void> {
  const settings = userSettings(options);
  await withStore(options, async (context) => {
    // Nobody likes to think of a password for a name that then can't be had.
    const canonical = await users.checkNewUser(context, name);
    const password = await newPassword(canonical, context, options);
    const { user, warnings } = await users.addUser(context, { ...settings, name, password });
    const receives = user.addresses.length === 0 ? "" : ` It receives mail for ${listed(user.addresses)}.`;
    await io.out(`Added ${user.name}.${receives}\n`);
    await tellGenerated(io, password, options);
    for (const warning of warnings) await io.err(`${bold("emsmail:", io.colourErr)} note: ${warning}\n`);
  }, { access: "create" });
}

export async function userList(io: Io, options: Options): Promise<void> {
  const all = await withStore(options, users.listUsers, { access: "read" });
  if (options.json === true) return await io.out(json(all));
  if (all.length === 0) {
    return await io.out("There are no accounts yet. Add one with: emsmail user add NAME\n");
  }
  await io.out(formatTable(
    [
      { title: "name" },
      { title: "pop3" },
      { title: "messages", align: "right" },
      { title: "size", align: "right" },
      { title: "quota", align: "right" },
      { title: "created" },
    ],
    all.map((user) => [
      user.name,
      user.pop3,
      String(user.messages),
      formatSize(user.bytes),
      quotaText(user),
      formatMinute(Date.parse(user.createdAt)),
    ]),
    { width: io.width, bold: io.colour },
  ));
}

export async function userShow(io: Io, name: string, options: Options): Promise<void> {
  const user = await withStore(options, (context) => users.showUser(context, name), { access: "read" });
  if (options.json === true) return await io.out(json(user));
  await io.out(userScreens(user, io));
}

/** A user's profile as the seed has it: screen #1 says who it is, screen #2 what becomes of the mail. */
export function userScreens(user: users.UserDetails, io: Io): string {
  return screen("#1 Identity", [
    ["Name", user.name],
    ["Display name", user.displayName || "none"],
    ["Department", user.department || "none"],
    ["Phone", user.phone || "none"],
    ["Receives at", user.addresses.length === 0 ? "aliases only" : listed(user.addresses)],
    ["Aliases", user.aliases.length === 0 ? "none" : listed(user.aliases)],
    ["Lists", user.lists.length === 0 ? "none" : listed(user.lists)],
    ["Created", formatSecond(Date.parse(user.createdAt))],
  ], io) + "\n" + screen("#2 Mail", [
    ["Allow POP3 Access", POP3_MEANING[user.pop3]],
    ["Default view", `${user.view} first`],
    ["Quota", quotaDetails(user)],
    ["Maildrop", `${count(user.messages, "message")}, ${formatSize(user.bytes)}`],
    ["Forward", forwardText(user.forward)],
    ["Sends as", user.sendAs === "any" ? "any address" : "its own addresses"],
    ["Password", user.hasPassword ? "set" : "none: nobody can log in"],
  ], io);
}

/** Where mail is sent on to, in words. */
export function forwardText(forward: users.UserView["forward"]): string {
  if (forward === null) return "none";
  return `to ${listed(forward.to)}, ${forward.keep ? "and kept here too" : "and not kept here"}`;
}

/** A title, and facts under it. */
function screen(title: string, facts: readonly Fact[], io: Io): string {
  return `${bold(title, io.colour)}\n${formatFacts(facts, io)}`;
}

export async function userSet(io: Io, name: string, options: Options): Promise<void> {
  const settings = userSettings(options);
  const user = await withStore(options, (context) => users.changeUser(context, name, settings), {
    access: "change",
  });
  await io.out(`Changed ${user.name}.\n`);
}

export async function userPasswd(io: Io, name: string, options: Options): Promise<void> {
  await withStore(options, async (context) => {
    const account = await users.findAccount(context, name);
    const password = await newPassword(account.name, context, options);
    await users.setPassword(context, account.name, password);
    await io.out(`${account.name} has a new password.\n`);
    await tellGenerated(io, password, options);
  }, { access: "change" });
}

export async function userRemove(io: Io, name: string, options: Options): Promise<void> {
  await withStore(options, async (context) => {
    const user = await users.showUser(context, name);
    const what = user.messages === 0
      ? user.name
      : `${user.name} and ${count(user.messages, "message")} (${formatSize(user.bytes)})`;
    if (options.yes !== true) {
      if (!canAsk()) {
        throw usageError(`removing ${what} can't be undone, and there is no terminal to ask on`, "say --yes");
      }
      if (!await confirm(`Remove ${what}? This can't be undone.`)) {
        throw new AdminError("nothing was removed");
      }
    }
    await users.removeUser(context, user.name);
    await io.out(`Removed ${what}.\n`);
  }, { access: "change" });
}

/** The password from where the options say, or from the terminal. */
async function newPassword(name: string, context: AdminContext, options: Options): Promise<string> {
  if (options.generate === true) return makePassword(context.random);
  return options.passwordStdin === true ? await readPasswordFromStdin() : await askNewPassword(name);
}

async function tellGenerated(io: Io, password: string, options: Options): Promise<void> {
  if (options.generate === true) await io.out(`Password: ${password}\n`);
}

const POP3_MEANING = {
  P: "P: yes, messages pass through whole",
  Y: "Y: yes, and each attachment becomes a message of its own",
  N: "N: no",
} as const;

function quotaText({ quotaBytes, quotaMessages }: users.UserView): string {
  const parts = [
    quotaBytes.limit === 0 ? "" : formatSize(quotaBytes.limit),
    quotaMessages.limit === 0 ? "" : count(quotaMessages.limit, "message"),
  ].filter((part) => part !== "");
  return parts.length === 0 ? "none" : parts.join(", ");
}

function quotaDetails(user: users.UserView): string {
  const own = [user.quotaBytes.own ? "bytes" : "", user.quotaMessages.own ? "messages" : ""].filter((part) =>
    part !== ""
  );
  const whose = own.length === 0 ? "the default" : `its own for ${own.join(" and ")}`;
  return `${quotaText(user)} (${whose})`;
}
