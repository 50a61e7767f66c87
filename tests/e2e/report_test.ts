/**
 * Reports on the binary: kept, read by whom they are for, attached by /REPORT, and what poppler and qpdf make of the PDF.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { e2e, field, mustRun, type Server, until } from "./harness.ts";

/** ASA: column 1 says how the paper moves before a record. */
const ASA =
  "1SALES REPORT          PAGE 1\n REGION     AMOUNT\n0NORTH       12.50\n+_____\n SOUTH      100.00\n" +
  "1SALES REPORT          PAGE 2\n-TOTAL      112.50\n";
const ASA_TEXT =
  "SALES REPORT          PAGE 1\r\nREGION     AMOUNT\r\n\r\nNORTH       12.50\r\nSOUTH      100.00\r\n" +
  "\fSALES REPORT          PAGE 2\r\n\r\n\r\nTOTAL      112.50\r\n";
/** Machine code: X'8B' to the top of a page; X'09', X'11' print and space 1, 2; X'01' prints and stays; X'89' prints and ejects. */
const MACHINE: readonly (readonly [code: number, text: string])[] = [
  [0x8b, ""],
  [0x09, "REGION     AMOUNT"],
  [0x11, "NORTH       12.50"],
  [0x01, "TOTAL"],
  [0x09, "TOTAL      112.50"],
  [0x89, "END OF PAGE 1"],
  [0x09, "PAGE 2"],
];
const MACHINE_TEXT =
  "REGION     AMOUNT\r\nNORTH       12.50\r\n\r\nTOTAL      112.50\r\nEND OF PAGE 1\r\n\fPAGE 2\r\n";
const SEND = ["mail", "send", "--user", "bob"];

async function write(server: Server, name: string, octets: Uint8Array | string): Promise<string> {
  const file = `${server.folder}/${name}`;
  await Deno.writeFile(file, typeof octets === "string" ? new TextEncoder().encode(octets) : octets);
  return file;
}

/** A megabyte that doesn't compress. */
function megabyte(): Uint8Array {
  const octets = new Uint8Array(1_000_000);
  for (let at = 0; at < octets.length; at += 50_000) crypto.getRandomValues(octets.subarray(at, at + 50_000));
  return octets;
}

/** The attachments of a message as Python's email package reads them. */
async function attachments(
  message: string,
): Promise<{ name: string; type: string; sha256: string; octets: number }[]> {
  return JSON.parse(await mustRun(["python3", "-c", READ], { stdin: message }));
}

const READ = `
import sys, json, hashlib, email, email.policy
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
assert not m.defects, m.defects
def told(a):
    data = a.get_payload(decode=True)
    return dict(name=a.get_filename(), type=a.get_content_type(), octets=len(data), sha256=hashlib.sha256(data).hexdigest())
print(json.dumps([told(a) for a in m.iter_attachments()]))
`;

async function sha256(octets: Uint8Array | string): Promise<string> {
  const data = typeof octets === "string" ? new TextEncoder().encode(octets) : octets.slice();
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data)).toHex();
}

e2e("report: put from a file and from standard input, listed, shown, got and removed", {
  start: "by-test",
}, async (server) => {
  const file = await write(server, "sales.lst", ASA);
  const put = await server.cli(["report", "put", "sales", file, "--title", "Sales by region"]);
  assertEquals([put.code, put.stdout], [0, "Kept SALES, version 1: sales.lst, 143 B.\n"]);
  assertEquals(
    put.stderr,
    "emsmail: note: column 1 was taken for ASA carriage control; if it isn't, put it with --carriage none\n",
  );
  const unnamed = await server.cli(["report", "put", "NIGHTLY", "-"], { stdin: "x\n" });
  assertEquals(
    [unnamed.code, unnamed.stderr],
    [2, "emsmail: what comes from standard input has no name; give one with --file-name\n"],
  );
  assertEquals(
    await server.mustCli(["report", "put", "SALES", "-", "--file-name", "../x/sales.txt", "--user", "bob"], {
      stdin: "Plain.\n",
    }),
    "Kept SALES, version 2: sales.txt, 7 B.\n",
  );
  assertEquals(
    JSON.parse(await server.mustCli(["report", "list", "--json"])).map((
      { name, version, owner, file, bytes }: Record<string, unknown>,
    ) => [name, version, owner, file, bytes]),
    [["SALES", 2, "bob", "sales.txt", 7]],
  );
  const shown = await server.mustCli(["report", "show", "sales"]);
  assertMatch(shown, /^ +2 +sales\.txt +none +bob +everyone +7 B/m);
  assertMatch(shown, /^ +1 +sales\.lst +ASA carriage control +everyone +143 B/m);
  assertEquals(await server.mustCli(["report", "get", "SALES"]), "Plain.\n");
  const get = ["report", "get", "SALES", "--version", "1"];
  assertEquals(await server.mustCli(get), ASA);
  assertEquals(await server.mustCli([...get, "--as", "text"]), ASA_TEXT);
  const out = ["--output", `${server.folder}/out.lst`];
  assertEquals(await server.mustCli([...get, ...out]), `Wrote ${out[1]}, 143 B.\n`);
  assertEquals(await Deno.readTextFile(out[1]!), ASA);
  const told = async (args: readonly string[]) => {
    const { code, stderr } = await server.cli(args);
    return `${code} ${stderr}`;
  };
  assertEquals(
    await told([...get, ...out]),
    `1 emsmail: ${out[1]} is there already; name another file with --output\n`,
  );
  assertEquals(
    await told(["report", "get", "SALES", "--as", "pdf"]),
    "2 emsmail: SALES has no carriage control, so there is nothing to render; get it as it is, without --as\n",
  );
  assertEquals(
    await told(["report", "get", "SALES", "--version", "3"]),
    "1 emsmail: SALES has no version 3; it has 2, 1\n",
  );
  assertEquals(
    await told(["report", "put", "BAD NAME", file]),
    "2 emsmail: 'BAD NAME' can't be a report's name; use up to 44 letters, digits and . - _ $ # @, beginning with a " +
      "letter or digit\n",
  );
  assertEquals(
    await told(["report", "put", "X", "nofile"]),
    "1 emsmail: there is no file nofile; name a file that is there\n",
  );
  assertEquals(
    await server.mustCli(["report", "remove", "SALES", "--version", "2"]),
    "Removed 1 version of SALES.\n",
  );
  assertEquals(await server.mustCli(["report", "get", "SALES"]), ASA);
  assertEquals(await server.mustCli(["report", "remove", "sales"]), "Removed 1 version of SALES.\n");
  assertEquals(
    await told(["report", "show", "SALES"]),
    "1 emsmail: there is no report SALES; 'emsmail report list' shows all there are\n",
  );
});

e2e("report: only its owner and readers get it, and nobody else learns of it", {
  users: ["alice", "bob", "carol"],
  start: "by-test",
}, async (server) => {
  const file = await write(server, "budget.csv", "1,2\n");
  await server.mustCli(["report", "put", "BUDGET", file, "--user", "alice", "--reader", "bob"]);
  for (const user of ["alice", "bob"]) {
    assertEquals(await server.mustCli(["report", "get", "BUDGET", "--user", user]), "1,2\n");
    assertStringIncludes(await server.mustCli(["report", "list", "--user", user]), "BUDGET");
  }
  const refused = "there is no report BUDGET that carol may read";
  const got = await server.cli(["report", "get", "BUDGET", "--user", "carol"]);
  assertEquals(
    [got.code, got.stdout, got.stderr],
    [1, "", `emsmail: ${refused}; 'emsmail report list --user carol' shows those there are\n`],
  );
  assertEquals(
    await server.mustCli(["report", "list", "--user", "carol"]),
    "There are no reports that carol may read.\n",
  );
  const sent = await server.cli(["mail", "send", "--user", "carol"], {
    stdin: "/TO alice\n/REPORT budget\n",
  });
  assertEquals(sent.code, 1);
  assertStringIncludes(
    sent.stderr,
    `  standard input:2:9: ${refused}\n    /REPORT budget\n            ^^^^^^\n`,
  );
});

e2e("report: /REPORT attaches it with its name, byte for byte, and three messages copy nothing of it", {
  users: ["alice", "bob"],
  needs: ["python3"],
}, async (server) => {
  const octets = megabyte();
  const file = await write(server, "Größen 2026.xls", octets);
  await server.mustCli(["report", "put", "BUDGET", file, "--reader", "bob"]);
  const stored = () => {
    using database = new DatabaseSync(`${server.data}/emsmail.db`, { readOnly: true });
    return Number(database.prepare("SELECT sum(length(data)) AS octets FROM part").get()!["octets"]);
  };
  const before = stored();
  for (let n = 1; n <= 3; n++) {
    await server.mustCli(SEND, { stdin: `/TO alice\n/SUBJECT ${n}\n/REPORT budget\n\nSee the report.\n` });
  }
  const mail = await server.mail("alice", 3);
  const added = stored() - before;
  assertEquals(added < 20_000, true, `${added} octets more in the store`);
  const want = [{
    name: "Größen 2026.xls",
    type: "application/vnd.ms-excel",
    octets: 1_000_000,
    sha256: await sha256(octets),
  }];
  for (const message of mail) assertEquals(await attachments(message), want);
  // A message kept whole is one report item, which holds the package.
  const shown = await server.mustCli(["mail", "read", "1", "--user", "alice"]);
  assertMatch(
    shown,
    /^Report: 1\.eml \(the whole message, 1\.3 MiB\), with\n {2}attachment 1 Größen 2026\.xls \(application\/vnd\.ms-excel, 977 KiB\)\n/m,
  );
  const [listed] = JSON.parse(await server.mustCli(["mail", "list", "--user", "alice", "--json"]));
  assertEquals([listed.part, listed.bytes > 1_300_000], [null, true]);
  // Mail keeps it when the report goes.
  assertEquals(await server.mustCli(["report", "remove", "BUDGET"]), "Removed 1 version of BUDGET.\n");
  for (const message of await server.mail("alice", 3)) assertEquals(await attachments(message), want);
  await server.mustCli(["mail", "save", "2", "--user", "alice", "--output", server.folder, "--force"]);
  assertEquals(await sha256(await Deno.readFile(file)), want[0]!.sha256);
  const ids = JSON.parse(await server.mustCli(["mail", "list", "--user", "alice", "--json"]))
    .map(({ id }: { id: string }) => id);
  await server.mustCli(["mail", "delete", ...ids, "--user", "alice"]);
  await until(
    "the octets to go with the last message",
    () => Promise.resolve(stored() - before < -1_000_000),
  );
});

e2e("report: a listing arrives as text, columns and pages as printed", {
  needs: ["python3"],
}, async (server) => {
  await server.mustCli(["report", "put", "SALES", await write(server, "sales.lst", ASA)]);
  await server.mustCli(["report", "put", "PLAIN", await write(server, "plain.txt", "A\n B\n")]);
  await server.mustCli(SEND, { stdin: "/TO alice\n/SUBJECT x\n/REPORT sales, plain\n" });
  const [message] = await server.mail("alice", 1);
  assertEquals(await attachments(message!), [
    { name: "sales.txt", type: "text/plain", octets: ASA_TEXT.length, sha256: await sha256(ASA_TEXT) },
    { name: "plain.txt", type: "text/plain", octets: 5, sha256: await sha256("A\n B\n") },
  ]);
  assertEquals(field(message!, "Subject"), "x");
});

/** Words of a PDF in their order on paper: page from 1, line and column from 0, word. */
async function words(pdf: string): Promise<string[]> {
  const html = await mustRun(["pdftotext", "-bbox", pdf, "-"]);
  let page = 0;
  const found = html.split("\n").flatMap((line) => {
    if (line.includes("<page ")) page++;
    const word = /<word xMin="([\d.]+)" yMin="([\d.]+)".*?>(.*)<\/word>/.exec(line);
    if (word === null) return [];
    // Courier of 10 points is 6 wide, its lines are 12 apart, and the margin is 36.
    const column = Math.round((Number(word[1]) - 36) / 6 * 100) / 100;
    return [{ page, line: Math.round((Number(word[2]) - 36) / 12), column, word: word[3]! }];
  });
  return found.sort((a, b) => a.page - b.page || a.line - b.line || a.column - b.column)
    .map(({ page, line, column, word }) => `${page} ${line} ${column} ${word}`);
}

e2e(
  "report: with report.render pdf a listing arrives as a PDF that poppler and qpdf take, its columns in place",
  {
    needs: ["python3", "pdftotext", "pdfinfo", "qpdf"],
    config: { report: { render: "pdf" } },
  },
  async (server) => {
    const machine = MACHINE.flatMap(([code, text]) => [code, ...new TextEncoder().encode(text), 0x0a]);
    await server.mustCli([
      ...["report", "put", "SALES", await write(server, "sales.lst", ASA), "--title", "Größe (Umsätze)"],
    ]);
    const put = ["report", "put", "MACH", await write(server, "mach.lst", new Uint8Array(machine))];
    assertMatch((await server.cli(put)).stderr, /taken for machine carriage control/);
    assertEquals(await server.mustCli(["report", "get", "MACH", "--as", "text"]), MACHINE_TEXT);
    await server.mustCli(SEND, { stdin: "/TO alice\n/REPORT sales mach\n" });
    const [message] = await server.mail("alice", 1);
    const names = (await attachments(message!)).map(({ name, type }) => `${name} ${type}`);
    assertEquals(names, ["sales.pdf application/pdf", "mach.pdf application/pdf"]);
    const folder = `${server.folder}/saved`;
    await Deno.mkdir(folder);
    await server.mustCli(["mail", "save", "1", "--user", "alice", "--output", folder]);
    for (const name of ["sales", "mach"]) {
      await mustRun(["qpdf", "--check", `${folder}/${name}.pdf`]);
      const info = await mustRun(["pdfinfo", `${folder}/${name}.pdf`]);
      assertMatch(info, /^Pages: +2$/m);
      assertMatch(info, name === "sales" ? /^Title: +Größe \(Umsätze\)$/m : /^Title: +MACH$/m);
    }
    assertEquals((await words(`${folder}/sales.pdf`)).filter((word) => !word.endsWith("_____")), [
      "1 0 0 SALES",
      "1 0 6 REPORT",
      "1 0 22 PAGE",
      "1 0 27 1",
      "1 1 0 REGION",
      "1 1 11 AMOUNT",
      "1 3 0 NORTH",
      "1 3 12 12.50",
      "1 4 0 SOUTH",
      "1 4 11 100.00",
      "2 0 0 SALES",
      "2 0 6 REPORT",
      "2 0 22 PAGE",
      "2 0 27 2",
      "2 3 0 TOTAL",
      "2 3 11 112.50",
    ]);
    assertEquals((await words(`${folder}/mach.pdf`)).filter((word) => word.startsWith("2")), [
      "2 0 0 PAGE",
      "2 0 5 2",
    ]);
  },
);
