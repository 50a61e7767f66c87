/**
 * `emsmail directory …`, as it can be typed.
 *
 * @module
 */
import { type Command, Option } from "commander";
import {
  branch,
  configOption,
  dataOption,
  type Does,
  domainOption,
  identityOptions,
  jsonOption,
  leaf,
  severalOption,
} from "./parts.ts";

const KINDS = ["user", "alias", "shadow", "list"];

const kindOption = (): Option =>
  new Option("--kind <kind>", "only entries of a kind: user, alias, shadow or list").choices(KINDS);
const formatOption = (): Option =>
  new Option("--format <format>", "csv, vcard or ldif (default: by the file's name)")
    .choices(["csv", "vcard", "ldif"]);

function withOptions(command: Command, options: readonly Option[]): Command {
  for (const option of options) command.addOption(option);
  return command.addOption(configOption()).addOption(dataOption());
}

export function addDirectory(root: Command, does: Does): void {
  const directory = branch(root, "directory", "the names of everybody: users, aliases, shadows and lists");
  addMaking(directory, does);
  addLooking(directory, does);
  addFiles(directory, does);
}

function addMaking(directory: Command, does: Does): void {
  const add = leaf(directory, "add", {
    summary: "add a shadow or a distribution list",
    description:
      "Adds a shadow, which is a local name for somebody elsewhere (--to), or a distribution list (--list).",
    examples: [
      "emsmail directory add bobl --to bobl@example.com --display-name 'Bob Lee'",
      "emsmail directory add carol --to '/MHS carol@sales' --inbound",
      "emsmail directory add staff --list --member alice --member bobl",
    ],
  })
    .argument("<name>", "bobl (at every domain of this system) or bobl@example.org (at that one)")
    .addOption(
      new Option("--to <address>", "where a shadow's mail goes: an address, or '/GATEWAY user@place'")
        .conflicts("list"),
    )
    .option("--inbound", "a shadow takes mail from strangers too, and not only from users here")
    .option("--list", "make a distribution list")
    .addOption(severalOption("--member <name>", "a list's member: a name here or an address elsewhere"))
    .option("--owner <name>", "who hears of mail that a list's members can't get (default: postmaster)")
    .addOption(domainOption("a mail domain, where 'serve' is given it as an option too"));
  withOptions(add, [...identityOptions(), jsonOption()])
    .action(
      does(async (io, [name], options) => (await import("../directory.ts")).directoryAdd(io, name!, options)),
    );
  const set = leaf(directory, "set", {
    summary: "change an entry",
    description: "Changes an entry; what is not named stays as it is.",
    examples: [
      "emsmail directory set bobl --phone '+1 555 0100' --no-inbound",
      "emsmail directory set staff --add-member carol --remove-member bobl",
    ],
  })
    .argument("<name>", "the entry")
    .option("--to <address>", "where a shadow's mail goes: an address, or '/GATEWAY user@place'")
    .option("--inbound", "a shadow takes mail from strangers too")
    .option("--no-inbound", "a shadow takes mail from users here only")
    .addOption(severalOption("--add-member <name>", "add a member to a list"))
    .addOption(severalOption("--remove-member <name>", "take a member out of a list"))
    .option("--owner <name>", "who hears of mail that a list's members can't get; '' for postmaster");
  withOptions(set, [...identityOptions(), jsonOption()])
    .action(
      does(async (io, [name], options) => (await import("../directory.ts")).directorySet(io, name!, options)),
    );
  const remove = leaf(directory, "remove", {
    summary: "remove a shadow or a list",
    description:
      "Removes a shadow or a list, and it from every alias and list. Users and aliases have their own commands.",
    examples: ["emsmail directory remove bobl"],
  })
    .argument("<name>", "the entry");
  withOptions(remove, [])
    .action(
      does(async (io, [name], options) =>
        (await import("../directory.ts")).directoryRemove(io, name!, options)
      ),
    );
}

function addLooking(directory: Command, does: Does): void {
  const list = leaf(directory, "list", {
    summary: "list all entries",
    description: "Lists all entries by name, or those of a kind.",
    examples: ["emsmail directory list", "emsmail directory list --kind shadow"],
  });
  withOptions(list, [kindOption(), jsonOption()])
    .action(does(async (io, _, options) => (await import("../directory.ts")).directoryList(io, options)));
  const find = leaf(directory, "find", {
    summary: "find entries by words",
    description:
      "Finds entries in whose name, display name, department or phone number each of the words stands.",
    examples: ["emsmail directory find lee", "emsmail directory find sales 0100"],
  })
    .argument("<word...>", "what to look for; case doesn't count")
    .option("--limit <number>", "how many to show at most (default: 100)");
  withOptions(find, [kindOption(), jsonOption()])
    .action(
      does(async (io, words, options) => (await import("../directory.ts")).directoryFind(io, words, options)),
    );
  const show = leaf(directory, "show", {
    summary: "show one entry",
    description: "Shows everything about one entry.",
    examples: ["emsmail directory show bobl"],
  })
    .argument("<name>", "the entry");
  withOptions(show, [jsonOption()])
    .action(
      does(async (io, [name], options) =>
        (await import("../directory.ts")).directoryShow(io, name!, options)
      ),
    );
}

function addFiles(directory: Command, does: Does): void {
  const take = leaf(directory, "import", {
    summary: "take entries from a file",
    description:
      "Takes users, shadows and lists from a file: all of them, or none where anything is wrong. Entries that are " +
      "there are changed as the file says, and new users get no password.",
    examples: [
      "emsmail directory import staff.csv --dry-run",
      "emsmail directory import - --format ldif < staff.ldif",
    ],
  })
    .argument("<file>", "the file; - for standard input")
    .option("--dry-run", "check the file and say what would be done")
    .addOption(domainOption("a mail domain, where 'serve' is given it as an option too"));
  withOptions(take, [formatOption(), jsonOption()])
    .action(
      does(async (io, [file], options) =>
        (await import("../directory_files.ts")).directoryImport(io, file!, options)
      ),
    );
  const give = leaf(directory, "export", {
    summary: "write all entries to a file",
    description: "Writes users, shadows and lists to a file that 'directory import' and other programs read.",
    examples: ["emsmail directory export staff.vcf", "emsmail directory export --format csv > staff.csv"],
  })
    .argument("[file]", "the file; standard output where none is named")
    .option("--force", "write over a file that is there");
  withOptions(give, [formatOption()])
    .action(
      does(async (io, [file], options) =>
        (await import("../directory_files.ts")).directoryExport(io, file, options)
      ),
    );
}
