/**
 * Entries as LDIF (RFC 2849), with the attributes that directories use: inetOrgPerson (RFC 2798) for persons, groupOfNames
 * (RFC 4519) for lists.
 *
 * What is written can be loaded into any LDAP server that has these classes, below a base of its own. Whether a person
 * is a user or a shadow stands in `employeeType`, as one of {@linkcode EMPLOYEE_TYPES}. A member elsewhere, who has no
 * entry, is named by `mail=`.
 *
 * Absent on purpose: changes (`changetype` other than `add`), and values that would have to be fetched.
 *
 * @module
 */
import {
  type Contact,
  type ContactFile,
  type ContactKind,
  gather,
  type Gathering,
  type ReadContact,
  type Report,
  withoutAbsent,
} from "./contact.ts";
import {
  canonicalDn,
  escapeDn,
  firstOfDn,
  formatLine,
  type LdifRecord,
  type LdifValue,
  recordsOf,
} from "./ldif_lines.ts";

/** How `employeeType` says what a person is here. */
const EMPLOYEE_TYPES = {
  user: "EMSmail user",
  shadow: "EMSmail shadow",
  inbound: "EMSmail shadow, inbound",
} as const;

/** Reads LDIF; entries that are neither persons nor groups are passed over. */
export function parseLdif(octets: Uint8Array): ContactFile {
  return gather(octets, readLdif);
}

export interface LdifOptions {
  /** What the entries stand under: `example.org` for `dc=example,dc=org`. */
  readonly domain: string;
}

/** Writes LDIF, with lines ended by LF. */
export function formatLdif(contacts: readonly Contact[], { domain }: LdifOptions): string {
  const base = domain.split(".").map((label) => `dc=${escapeDn(label)}`).join(",");
  const lists = new Set(contacts.filter(({ kind }) => kind === "list").map(({ name }) => name));
  const dnOf = (name: string): string => {
    if (lists.has(name)) return `cn=${escapeDn(name)},ou=lists,${base}`;
    return `${name.includes("@") ? "mail" : "uid"}=${escapeDn(name)},ou=people,${base}`;
  };
  const records = contacts.map((contact) => {
    const lines = contact.kind === "list" ? listLines(contact, dnOf) : personLines(contact);
    return [["dn", personOrListDn(contact, base)] as const, ...lines]
      .map(([name, value]) => formatLine(name, value)).join("");
  });
  return ["version: 1\n", ...records].join("\n");
}

function personOrListDn({ kind, name = "" }: Contact, base: string): string {
  return kind === "list"
    ? `cn=${escapeDn(name)},ou=lists,${base}`
    : `uid=${escapeDn(name)},ou=people,${base}`;
}

type Lines = (readonly [attribute: string, value: string])[];

function personLines(
  { kind, name = "", displayName = "", department = "", phone = "", ...more }: Contact,
): Lines {
  const common = displayName || name;
  const type = kind === "shadow" && more.inbound === true ? "inbound" : kind === "shadow" ? "shadow" : "user";
  return filled([
    ["objectClass", "inetOrgPerson"],
    ["uid", name],
    ["cn", common],
    // RFC 4519 3.12: a person has a surname.
    ["sn", /\S+$/.exec(common)?.[0] ?? common],
    ["displayName", displayName],
    ["ou", department],
    ["telephoneNumber", phone],
    ["mail", more.address ?? ""],
    ["employeeType", kind === undefined ? "" : EMPLOYEE_TYPES[type]],
  ]);
}

function listLines(list: Contact, dnOf: (name: string) => string): Lines {
  const { name = "", displayName = "", department = "", phone = "", members = [], owner = "" } = list;
  return [
    ...filled([
      ["objectClass", "groupOfNames"],
      // RFC 4512 4.3: lets a group have a telephone number.
      ["objectClass", phone === "" ? "" : "extensibleObject"],
      ["cn", name],
      ["description", displayName],
      ["ou", department],
      ["telephoneNumber", phone],
      ["owner", owner === "" ? "" : dnOf(owner)],
    ]),
    // RFC 4519 3.5: a group has a member; nobody is the empty name.
    ...(members.length === 0 ? [""] : members.map(dnOf)).map((dn) => ["member", dn] as const),
  ];
}

const filled = (lines: Lines): Lines => lines.filter(([, value]) => value !== "");

// ---------------------------------------------------------------- reading

const PERSONS = ["person", "organizationalperson", "inetorgperson", "mailrecipient", "posixaccount", "user"];
const GROUPS = [
  "groupofnames",
  "groupofuniquenames",
  "groupofmembers",
  "posixgroup",
  "group",
  "rfc822mailgroup",
];

/** Attributes that are read, in lower case. */
const READ = new Set(
  ("dn objectclass changetype uid samaccountname cn displayname description ou departmentnumber department " +
    "telephonenumber mobile mail employeetype member uniquemember memberuid rfc822mailmember mgrprfc822mailmember owner")
    .split(" "),
);

function readLdif(text: string, { add, report }: Gathering): void {
  const records = recordsOf(text, { attributes: READ, report });
  const contacts = records.map((record) => contactOf(record, report));
  const byDn = new Map(records.map(({ dn }, i) => [canonicalDn(dn), contacts[i]] as const));
  records.forEach((record, i) => {
    const contact = contacts[i];
    if (contact === undefined) return;
    if (contact.kind !== "list") return add(contact);
    const names = namesOf(record, byDn, report);
    add(withoutAbsent({ ...contact, members: names("member"), owner: names("owner")[0] }));
  });
}

function valuesOf(record: LdifRecord, ...attributes: string[]): LdifValue[] {
  return attributes.flatMap((attribute) => record.attributes.get(attribute) ?? []);
}

function textOf(record: LdifRecord, ...attributes: string[]): string | undefined {
  return valuesOf(record, ...attributes).map(({ text }) => text?.trim()).find((text) => text);
}

function contactOf(record: LdifRecord, report: Report): ReadContact | undefined {
  const change = valuesOf(record, "changetype")[0];
  if (change !== undefined && change.text !== "add") {
    report(change.line, `changes of the kind '${change.text}' aren't read`, "export the entries themselves");
    return undefined;
  }
  const classes = valuesOf(record, "objectclass").map(({ text }) => text?.toLowerCase() ?? "");
  const common = { line: record.line, department: textOf(record, "ou", "departmentnumber", "department") };
  const phone = textOf(record, "telephonenumber", "mobile");
  const [uid, cn] = [textOf(record, "uid", "samaccountname"), textOf(record, "cn")];
  if (classes.some((name) => GROUPS.includes(name))) {
    const displayName = textOf(record, "displayname", "description");
    return withoutAbsent({ ...common, kind: "list" as const, name: uid ?? wordOf(cn), displayName, phone });
  }
  const address = textOf(record, "mail");
  const isPerson = classes.some((name) => PERSONS.includes(name)) ||
    (classes.length === 0 && (uid ?? address) !== undefined);
  if (!isPerson) return undefined;
  const [kind, inbound] = kindOf(record);
  const displayName = textOf(record, "displayname") ?? (cn === uid ? undefined : cn);
  return withoutAbsent({ ...common, kind, name: uid, displayName, phone, address, inbound });
}

function kindOf(record: LdifRecord): [kind: ContactKind | undefined, inbound: boolean | undefined] {
  const types = valuesOf(record, "employeetype").map(({ text }) => text);
  if (types.includes(EMPLOYEE_TYPES.inbound)) return ["shadow", true];
  if (types.includes(EMPLOYEE_TYPES.shadow)) return ["shadow", false];
  return [types.includes(EMPLOYEE_TYPES.user) ? "user" : undefined, undefined];
}

/** A group may be called "All staff", which is a display name and no name. */
function wordOf(text: string | undefined): string | undefined {
  return text === undefined || /\s/.test(text) ? undefined : text;
}

/** Attributes that hold distinguished names, and those that hold names or addresses. */
const NAMING = {
  member: {
    dn: ["member", "uniquemember"],
    plain: ["memberuid", "rfc822mailmember", "mgrprfc822mailmember"],
  },
  owner: { dn: ["owner"], plain: [] },
} as const;

function namesOf(
  record: LdifRecord,
  byDn: ReadonlyMap<string, ReadContact | undefined>,
  report: Report,
): (what: keyof typeof NAMING) => string[] {
  const nameOfDn = ({ line, text = "" }: LdifValue): string | undefined => {
    if (text === "") return undefined;
    const known = byDn.get(canonicalDn(text));
    const name = known?.name ?? known?.address ?? nameInDn(text);
    if (name === undefined) {
      report(
        line,
        `who ${text} is can't be told by this file`,
        "export that entry too, or name it by uid= or mail=",
      );
    }
    return name;
  };
  return (what) => {
    const { dn, plain } = NAMING[what];
    const named = valuesOf(record, ...dn).map(nameOfDn);
    return [...named, ...valuesOf(record, ...plain).map(({ text }) => text?.trim())]
      .filter((name): name is string => name !== undefined && name !== "");
  };
}

function nameInDn(dn: string): string | undefined {
  const first = firstOfDn(dn);
  if (first === undefined) return undefined;
  if (first.attribute === "uid" || first.attribute === "mail") return first.value;
  return first.attribute === "cn" ? wordOf(first.value) : undefined;
}
