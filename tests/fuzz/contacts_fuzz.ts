/**
 * Fuzzes the readers of directory files: `deno run -A tests/fuzz/contacts_fuzz.ts [--seconds N] [--seed N]`.
 *
 * Invariants, for any octets given to the reader of CSV, vCard and LDIF:
 * 1. Nothing throws.
 * 2. Problems come in the order of lines, and each line is one of the file's.
 * 3. No text of an entry holds a control character, and none that people read is longer than its limit.
 * 4. What was read can be written in each of the three formats and read again: the same names, kinds, texts and flags, and
 *    nothing to complain of.
 * 5. No cell of CSV that is written begins as a formula does.
 *
 * Inputs are files as they are written here or made of each format's own words, then mutated. A failure prints the seed and the file; `--seed N` with that
 * seed makes the same file first.
 *
 * @module
 */
import { Chooser, drive } from "./drive.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { type Contact, type ContactFile, textFault } from "../../src/contacts/contact.ts";
import { formatCsv, parseCsv } from "../../src/contacts/csv.ts";
import { formatLdif, parseLdif } from "../../src/contacts/ldif.ts";
import { formatVcards, parseVcards } from "../../src/contacts/vcard.ts";

const TEXTS = [
  ...[
    "bob",
    "bobl@example.com",
    "Bob Lee",
    "Ünal, Ayşe",
    "yes",
    "no",
    "user",
    "shadow",
    "list",
    "=1+1",
    "'-x",
  ],
  ...[
    "+49 30 1",
    "a;b",
    "x".repeat(300),
    "Q0FTSQ==",
    "=C3=BC",
    "\\n",
    "\\,",
    "%0D%0A",
    "%zz",
    "tel:+1",
    "日本",
  ],
];
const FORMATS = {
  csv: {
    parse: parseCsv,
    begin: [
      "kind,name,display name,department,phone,address,inbound,members,owner\r\n",
      "name;members\n",
      "",
    ],
    words: ['"', '""', ",", ",", ",", ";", "\t", "\r\n", "\n", "\r", "'", "="],
  },
  vcard: {
    parse: parseVcards,
    begin: ["BEGIN:VCARD\r\nVERSION:4.0\r\n", "BEGIN:VCARD\nVERSION:2.1\n", ""],
    words: [
      ...[
        "\r\n",
        "\r\n ",
        "\n",
        "BEGIN:VCARD\r\n",
        "END:VCARD\r\n",
        "\r\nFN:",
        "\r\nN:",
        "\r\nNICKNAME:",
        "\r\nORG:",
      ],
      ...[
        "\r\nKIND:group",
        "\r\nMEMBER:mailto:",
        "\r\nMEMBER:urn:uuid:1",
        "\r\nUID:urn:uuid:1",
        "\r\nEMAIL:",
      ],
      ...[
        "\r\nTEL;VALUE=uri:tel:",
        "\r\nX-EMS-KIND:",
        "\r\nX-EMS-INBOUND:",
        "\r\nX-EMS-OWNER:",
        ";",
        ":",
        ",",
        "=",
      ],
      ...["\r\nFN;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:", "\r\nFN;ENCODING=b:", ";PREF=1", '"', "\\"],
    ],
  },
  ldif: {
    parse: parseLdif,
    begin: ["version: 1\n\ndn: uid=bob,dc=example\nobjectClass: inetOrgPerson\n", "dn: cn=all\n", ""],
    words: [
      ...[
        "\n",
        "\n\n",
        "\n ",
        "\r\n",
        "\ndn: uid=",
        "\ndn:: ",
        "\ncn: ",
        "\ncn:: ",
        "\nuid: ",
        "\nmail: ",
        "\nou: ",
      ],
      ...[
        "\nobjectClass: person",
        "\nobjectClass: groupOfNames",
        "\nmember: uid=bob,dc=example",
        "\nmember: ",
      ],
      ...[
        "\nowner: cn=",
        "\nmemberUid: ",
        "\nemployeeType: EMSmail shadow",
        "\nchangetype: ",
        "\n# ",
        ":<",
        ",",
        "\\2C",
      ],
    ],
  },
} as const;
type Format = keyof typeof FORMATS;

interface Case {
  readonly format: Format;
  readonly octets: Uint8Array;
}

/** A file as it is written here, of entries that hold anything. */
function written(format: Format, choose: Chooser): string {
  const text = (): string => choose.once(3) ? "" : choose.oneOf(TEXTS);
  const contacts = choose.several(4, (): Contact => {
    const kind = choose.oneOf(["user", "shadow", "list"] as const);
    const common = { kind, name: choose.oneOf(["bob", "all", "j.doe", "x1"]), displayName: text() };
    const more = { ...common, department: text(), phone: text() };
    if (kind === "list") {
      return {
        ...more,
        members: choose.several(3, () => choose.oneOf(["bob", "a@b.test"])),
      };
    }
    return { ...more, address: "bobl@example.com", ...kind === "shadow" ? { inbound: choose.once(2) } : {} };
  });
  const domain = "example.org";
  if (format === "csv") return formatCsv(contacts);
  return format === "vcard" ? formatVcards(contacts, { domain }) : formatLdif(contacts, { domain });
}

function make(seed: number): Case {
  const choose = new Chooser(seed);
  const format = choose.oneOf(Object.keys(FORMATS) as Format[]);
  const { begin, words } = FORMATS[format];
  const word = (): string => choose.oneOf(choose.once(3) ? TEXTS : words);
  let text = choose.once(2)
    ? written(format, choose)
    : choose.oneOf(begin) + choose.several(60, word).join("");
  for (const inserted of choose.several(choose.once(2) ? 0 : 3, word)) {
    const at = choose.below(text.length + 1);
    text = text.slice(0, at) + inserted + text.slice(at + choose.below(4));
  }
  const octets = new Uint8Array(utf8(text));
  for (const at of choose.several(choose.once(2) ? 0 : 3, () => choose.below(octets.length))) {
    octets[at] = choose.below(256);
  }
  return { format, octets };
}

// ---------------------------------------------------------------- invariants

function fail(invariant: number, what: string): never {
  throw new Error(`invariant ${invariant}: ${what}`);
}

function checkFile({ contacts, problems }: ContactFile, octets: Uint8Array): void {
  const lines = new TextDecoder("latin1").decode(octets).split(/\r\n|\r|\n/).length;
  let last = 1;
  for (const { line, message, advice } of problems) {
    if (line < last || line > lines) fail(2, `line ${line} of ${lines} after ${last}: ${message}`);
    if (/\.$/.test(message)) fail(2, `a full stop ends: ${message} ${advice}`);
    last = line;
  }
  for (const contact of contacts) {
    if (contact.line < 1 || contact.line > lines) fail(2, `an entry on line ${contact.line} of ${lines}`);
    checkTexts(contact);
  }
}

function checkTexts(contact: Contact): void {
  const { displayName = "", department = "", phone = "" } = contact;
  for (const text of [displayName, department, phone]) {
    const fault = textFault(text);
    if (fault !== undefined) fail(3, `${JSON.stringify(text)} ${fault}`);
  }
  const { name = "", address = "", owner = "", members = [] } = contact;
  for (const text of [name, address, owner, ...members]) {
    // deno-lint-ignore no-control-regex -- control characters are what must not be there
    if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)) fail(3, JSON.stringify(text));
  }
}

/** Entries that each format can hold: named, each once, of a kind that is known, with plain members. */
function writable(contacts: readonly Contact[]): Contact[] {
  const result: Contact[] = [];
  const seen = new Set<string>();
  const isPlain = (text: string): boolean => /^[a-z0-9.]+(?:@[a-z0-9.]+)?$/.test(text);
  for (const { kind, name = "", address = "", owner = "", members = [], inbound, ...texts } of contacts) {
    if (kind === undefined || !/^[a-z0-9.]+$/.test(name) || seen.has(name)) continue;
    seen.add(name);
    const entry = { kind, name, ...texts };
    if (kind === "list") {
      result.push({ ...entry, members: members.filter(isPlain), owner: isPlain(owner) ? owner : undefined });
    } else {
      const isInbound = kind === "shadow" && inbound === true;
      result.push({ ...entry, address: isPlain(address) ? address : undefined, inbound: isInbound });
    }
  }
  return result;
}

/** What all formats keep alike; a number as a URI (RFC 3966) and without its scheme are the same. */
function core(
  { kind, name, displayName = "", department = "", phone = "", inbound = false }: Contact,
): string {
  const number = phone.replace(/^(?:(?:tel|mailto):)+/i, "").trim();
  return JSON.stringify([kind, name, displayName === name ? "" : displayName, department, number, inbound]);
}

function checkRoundTrips(contacts: readonly Contact[]): void {
  if (contacts.length === 0) return;
  const expected = contacts.map(core).sort();
  const domain = "example.org";
  const written = {
    csv: formatCsv(contacts),
    vcard: formatVcards(contacts, { domain }),
    ldif: formatLdif(contacts, { domain }),
  };
  for (const format of Object.keys(written) as Format[]) {
    const again = FORMATS[format].parse(new Uint8Array(utf8(written[format])));
    if (again.problems.length > 0) fail(4, `${format}: ${again.problems[0]!.message} in ${written[format]}`);
    const got = again.contacts.map(core).sort();
    if (got.join("\n") !== expected.join("\n")) {
      fail(4, `${format}: ${got.join("\n")}\nnot ${expected.join("\n")}`);
    }
  }
  const formula = /(?:^|[,\r\n])"?[=+@\t-][^\r\n]*/.exec(
    written.csv.replaceAll(/"(?:[^"]|"")*"/g, quotedCell),
  );
  if (formula !== null) fail(5, formula[0]);
}

/** A quoted cell without what could be taken for a separator. */
function quotedCell(cell: string): string {
  return cell.replaceAll(/[,\r\n]/g, "_");
}

function run({ format, octets }: Case): void {
  const file = FORMATS[format].parse(octets);
  checkFile(file, octets);
  checkRoundTrips(writable(file.contacts));
}

drive({
  name: "contacts_fuzz",
  make,
  run,
  show: ({ format, octets }) => [`format: ${format}`, `file: ${octets.toHex()}`],
});
