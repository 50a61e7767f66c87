/**
 * `emsmail report …`, as it can be typed.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { branch, configOption, dataOption, type Does, gathered, jsonOption, leaf } from "./parts.ts";

const forUser = (description: string): Option => new Option("--user <name>", description);
const version = (): Option => new Option("--version <number>", "which version (default: the newest)");

export function addReport(root: Command, does: Does): void {
  const report = branch(root, "report", "files kept under a name, to be attached to mail by /REPORT");
  leaf(report, "put", {
    summary: "keep a file as a report's new version",
    description:
      "Keeps a file under a name. A report that is there already gets a new version, with the title, owner and readers " +
      "of the one before unless others are given. Printer's carriage control in " +
      "column 1 is found out; mail then carries the report as text or PDF, as 'report.render' says.",
    examples: [
      "emsmail report put SALES sales.lst --title 'Sales by region'",
      "emsmail report put BUDGET budget.xlsx --user alice --reader bob --reader carol",
      "generate-report | emsmail report put NIGHTLY - --file-name nightly.txt",
    ],
  })
    .argument("<name>", "letters, digits and . - _ $ # @, up to 44")
    .argument("<file>", "the file, or - for standard input")
    .option("--title <text>", "what it is about (default: as before)")
    .addOption(forUser("the account it belongs to (default: as before, or none)"))
    .option(
      "--reader <name>",
      "an account that may read it, beside its owner; may be given again (default: as before, or everyone)",
      gathered,
    )
    .addOption(new Option("--everyone", "everyone may read it").conflicts("reader"))
    .option("--file-name <name>", "the name that attachments get (default: the file's own)")
    .addOption(
      new Option("--carriage <control>", "what stands in column 1: auto, none, asa or machine")
        .choices(["auto", "none", "asa", "machine"]).default("auto"),
    )
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, [name, file], options) =>
        (await import("../report.ts")).reportPut(io, { name: name!, file: file! }, options)
      ),
    );
  leaf(report, "list", {
    summary: "list all reports",
    description: "Lists the newest version of each report.",
    examples: ["emsmail report list", "emsmail report list --user bob"],
  })
    .addOption(forUser("only those that this account may read"))
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(does(async (io, _, options) => (await import("../report.ts")).reportList(io, options)));
  leaf(report, "show", {
    summary: "show a report's versions",
    description: "Shows what a report is, who may read it, and its versions.",
    examples: ["emsmail report show SALES"],
  })
    .argument("<name>", "the report")
    .addOption(jsonOption()).addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, [name], options) => (await import("../report.ts")).reportShow(io, name!, options)),
    );
  leaf(report, "get", {
    summary: "get a report's file",
    description: "Writes a report's file, octet for octet, to standard output or a file.",
    examples: [
      "emsmail report get SALES > sales.lst",
      "emsmail report get SALES --as pdf --output sales.pdf",
    ],
  })
    .argument("<name>", "the report")
    .addOption(version())
    .addOption(forUser("get it only if this account may read it"))
    .addOption(
      new Option("--as <form>", "with carriage control: file (as it was put), text or pdf")
        .choices(["file", "text", "pdf"]).default("file"),
    )
    .option("--output <file>", "where to (default: standard output); an existing file is not overwritten")
    .addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, [name], options) => (await import("../report.ts")).reportGet(io, name!, options)),
    );
  leaf(report, "remove", {
    summary: "remove a report, or one version of it",
    description:
      "Removes a report with all its versions, or one of them. Mail that has it attached keeps it.",
    examples: ["emsmail report remove SALES", "emsmail report remove SALES --version 3"],
  })
    .argument("<name>", "the report")
    .addOption(new Option("--version <number>", "only this version"))
    .addOption(configOption()).addOption(dataOption())
    .action(
      does(async (io, [name], options) => (await import("../report.ts")).reportRemove(io, name!, options)),
    );
}
