/**
 * `emsmail report …`: reports, at the command line.
 *
 * @module
 */
import { usageError } from "../admin/error.ts";
import * as reports from "../admin/reports.ts";
import { printableLine } from "../base/printable.ts";
import { withStore } from "./context.ts";
import { readOctets, writeWhole } from "./files.ts";
import { bold, type Io, json } from "./io.ts";
import type { Options } from "./program.ts";
import { type Column, formatTable } from "./table.ts";
import { count, formatMinute, formatSize } from "./time.ts";
import { positiveNumber } from "./values.ts";

export async function reportPut(
  io: Io,
  { name, file }: { readonly name: string; readonly file: string },
  options: Options,
): Promise<void> {
  const { title, user, reader, fileName, carriage } = options as {
    readonly title?: string;
    readonly user?: string;
    readonly reader?: readonly string[];
    readonly fileName?: string;
    readonly carriage?: reports.NewReport["carriage"];
  };
  if (file === "-" && fileName === undefined) {
    throw usageError("what comes from standard input has no name", "give one with --file-name");
  }
  const put = await withStore(
    options,
    (context) =>
      reports.putReport(context, {
        name,
        fileName: fileName ?? file,
        content: readOctets(file),
        title,
        owner: user,
        readers: options.everyone === true ? "everyone" : reader,
        carriage,
      }),
    { access: "create" },
  );
  if (options.json === true) return await io.out(json(put));
  await io.out(`Kept ${put.name}, version ${put.version}: ${put.file}, ${formatSize(put.bytes)}.\n`);
  if (put.carriage !== "none" && carriage === "auto") {
    await io.err(
      `${bold("emsmail:", io.colourErr)} note: column 1 was taken for ${CARRIAGE[put.carriage]}; ` +
        `if it isn't, put it with --carriage none\n`,
    );
  }
}

export async function reportList(io: Io, options: Options): Promise<void> {
  const { user } = options as { readonly user?: string };
  const all = await withStore(options, (context) => reports.listReports(context, { user }), {
    access: "read",
  });
  if (options.json === true) return await io.out(json(all));
  if (all.length === 0) {
    return await io.out(
      user === undefined
        ? "There are no reports yet. Keep one with: emsmail report put NAME FILE\n"
        : `There are no reports that ${printableLine(user)} may read.\n`,
    );
  }
  await io.out(formatTable(
    [
      { title: "name" },
      { title: "version", align: "right" },
      { title: "title", shrinks: true },
      ...COLUMNS,
    ],
    all.map((report) => [
      report.name,
      String(report.version),
      report.title,
      ...cells(report),
    ]),
    { width: io.width, bold: io.colour },
  ));
}

export async function reportShow(io: Io, name: string, options: Options): Promise<void> {
  const versions = await withStore(options, (context) => reports.showReport(context, name), {
    access: "read",
  });
  if (options.json === true) return await io.out(json(versions));
  const newest = versions[0]!;
  await io.out(`${bold(newest.name, io.colour)}${newest.title === "" ? "" : `  ${newest.title}`}\n`);
  await io.out(formatTable(
    [
      { title: "version", align: "right" },
      { title: "file", shrinks: true },
      { title: "carriage control" },
      ...COLUMNS,
    ],
    versions.map((report) => [
      String(report.version),
      report.file,
      CARRIAGE[report.carriage],
      ...cells(report),
    ]),
    { width: io.width, bold: io.colour },
  ));
}

export async function reportGet(io: Io, name: string, options: Options): Promise<void> {
  const { user, as, output } = options as {
    readonly user?: string;
    readonly as?: "file" | "text" | "pdf";
    readonly output?: string;
  };
  const version = positiveNumber(options, "--version");
  await withStore(options, async (context) => {
    const file = await reports.openReport(context, name, { version, user, as });
    if (output !== undefined) {
      await writeWhole(output, file.parts, { replace: "no", advice: "name another file with --output" });
      return await io.out(`Wrote ${printableLine(output)}, ${formatSize(file.bytes)}.\n`);
    }
    if (io.outIsTerminal) {
      throw usageError(
        "a report's octets are not for a terminal",
        `add --output ${file.fileName}, or send standard output to a file or a pipe`,
      );
    }
    for await (const part of file.parts) await io.out(part);
  }, { access: "read" });
}

export async function reportRemove(io: Io, name: string, options: Options): Promise<void> {
  const version = positiveNumber(options, "--version");
  const removed = await withStore(options, (context) => reports.removeReport(context, name, version), {
    access: "change",
  });
  await io.out(`Removed ${count(removed, "version")} of ${reports.reportName(name)}.\n`);
}

const CARRIAGE = { none: "none", asa: "ASA carriage control", machine: "machine carriage control" } as const;

/** What a list of reports and one of versions end in. */
const COLUMNS: readonly Column[] = [
  { title: "owner" },
  { title: "readers", shrinks: true },
  { title: "size", align: "right" },
  { title: "created" },
];

/** A version's cells of {@linkcode COLUMNS}. */
function cells(report: reports.ReportView): string[] {
  return [
    report.owner,
    readersText(report),
    formatSize(report.bytes),
    formatMinute(Date.parse(report.createdAt)),
  ];
}

function readersText({ readers }: reports.ReportView): string {
  return readers === "everyone" ? readers : readers.join(", ") || "owner only";
}
