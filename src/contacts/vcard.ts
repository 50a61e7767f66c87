/**
 * Entries as vCards: written as version 4.0 (RFC 6350), read as 4.0, 3.0 and 2.1.
 *
 * A person is a card with FN, ORG (of which the department is the second part), TEL and EMAIL; a list is one of KIND
 * group with its MEMBERs. NICKNAME holds the name here. What vCard has no property for stands in X-EMS-KIND,
 * X-EMS-INBOUND and X-EMS-OWNER, which other programs pass over.
 *
 * A member is an address by `mailto:` or another card of the file by its UID.
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
  readYesNo,
  type Report,
  withoutAbsent,
} from "./contact.ts";
import {
  escapeText,
  foldLine,
  propertiesOf,
  type Property,
  splitValue,
  unescapeText,
} from "./vcard_lines.ts";

/** Reads vCards of any version. */
export function parseVcards(octets: Uint8Array): ContactFile {
  return gather(octets, readCards, { as: "octets" });
}

export interface VcardOptions {
  /** What completes a member's name that has no domain, since vCard knows addresses only. */
  readonly domain: string;
}

/** Writes vCards, with lines ended by CRLF. */
export function formatVcards(contacts: readonly Contact[], { domain }: VcardOptions): string {
  return contacts.map((contact) => cardLines(contact, domain).map(foldLine).join("")).join("");
}

function cardLines(contact: Contact, domain: string): string[] {
  const text = (name: string, value: string | undefined): string[] =>
    value === undefined || value === "" ? [] : [`${name}:${escapeText(value)}`];
  const { kind, name = "", displayName = "", department = "", members = [] } = contact;
  return [
    "BEGIN:VCARD",
    "VERSION:4.0",
    `KIND:${kind === "list" ? "group" : "individual"}`,
    // RFC 6350 6.2.1: there has to be an FN. RFC 9554: DERIVED says that it is made from another property.
    displayName === "" ? `FN;DERIVED=true:${escapeText(name)}` : `FN:${escapeText(displayName)}`,
    ...text("NICKNAME", name),
    // RFC 6350 6.6.4: the organization, then its units.
    ...department === "" ? [] : [`ORG:;${escapeText(department)}`],
    ...text("TEL", contact.phone),
    ...text("EMAIL", contact.address),
    ...members.map((member) => `MEMBER:${mailto(member, domain)}`),
    ...text("X-EMS-KIND", kind),
    ...contact.inbound === undefined ? [] : [`X-EMS-INBOUND:${contact.inbound ? "yes" : "no"}`],
    ...text("X-EMS-OWNER", contact.owner),
    "END:VCARD",
  ];
}

/** RFC 6068 2: what isn't plain in an address is percent-encoded. */
function mailto(member: string, domain: string): string {
  const at = member.lastIndexOf("@");
  const [local, host] = at < 0 ? [member, domain] : [member.slice(0, at), member.slice(at + 1)];
  return `mailto:${encodeURIComponent(local)}@${encodeURI(host)}`;
}

// ---------------------------------------------------------------- reading

interface Card {
  readonly line: number;
  readonly properties: Property[];
}

function readCards(text: string, { add, report }: Gathering): void {
  const cards = cardsOf(propertiesOf(text, report), report);
  const contacts = cards.map((card) => contactOf(card, report));
  const byUid = new Map<string, ReadContact>();
  cards.forEach((card, i) => {
    const uid = first(card, "UID")?.value;
    if (uid !== undefined) byUid.set(plainUid(uid), contacts[i]!);
  });
  cards.forEach((card, i) => {
    const contact = contacts[i]!;
    if (contact.kind !== "list") return add(contact);
    add({ ...contact, members: membersOf(card, byUid, report) });
  });
}

/** Cards with what stands in them; a card inside a card (version 2.1's AGENT) is passed over. */
function cardsOf(properties: Iterable<Property>, report: Report): Card[] {
  const cards: Card[] = [];
  let open: Card | undefined;
  let depth = 0;
  let lastLine = 1;
  for (const property of properties) {
    const { name, value, line } = property;
    lastLine = line;
    const isEdge = value.trim().toUpperCase() === "VCARD";
    if (name === "BEGIN" && isEdge) {
      if (depth++ === 0) open = { line, properties: [] };
    } else if (open === undefined) {
      report(
        line,
        `${name} stands outside of a card`,
        "a card begins with BEGIN:VCARD and ends with END:VCARD",
      );
    } else if (name !== "END" || !isEdge) {
      if (depth === 1) open.properties.push(property);
    } else if (--depth === 0) {
      cards.push(open);
      open = undefined;
    }
  }
  if (open !== undefined) report(open.line, "the card that begins here has no end", "end it with END:VCARD");
  else if (cards.length === 0) {
    report(lastLine, "there is no card in the file", "a card begins with BEGIN:VCARD");
  }
  return cards;
}

function first(card: Card, name: string): Property | undefined {
  return card.properties.find((property) => property.name === name);
}

/** The one that is preferred: PREF=1 in version 4.0, TYPE=pref before. */
function preferred(card: Card, name: string): Property | undefined {
  const rank = ({ parameters }: Property): number => {
    const isPreferred = parameters.get("TYPE")?.some((type) => type.toLowerCase() === "pref") === true;
    return isPreferred ? 1 : Number(parameters.get("PREF")?.[0] ?? 101);
  };
  return card.properties.filter((property) => property.name === name)
    .reduce<Property | undefined>(
      (best, next) => best === undefined || rank(next) < rank(best) ? next : best,
      undefined,
    );
}

function contactOf(card: Card, report: Report): ReadContact {
  const textOf = (name: string): string | undefined => {
    const property = first(card, name);
    return property === undefined ? undefined : unescapeText(property.value).trim() || undefined;
  };
  const addressOf = (name: string): string | undefined => {
    const property = preferred(card, name);
    return property === undefined
      ? undefined
      : withoutScheme(unescapeText(property.value).trim()) || undefined;
  };
  const kind = kindOf(card, report);
  return withoutAbsent({
    line: card.line,
    kind,
    name: nameOf(card),
    displayName: displayNameOf(card),
    department: departmentOf(card),
    phone: addressOf("TEL"),
    address: kind === "list" ? undefined : addressOf("EMAIL"),
    inbound: inboundOf(card, report),
    owner: textOf("X-EMS-OWNER"),
  });
}

const KINDS: { readonly [word: string]: ContactKind } = { user: "user", shadow: "shadow", list: "list" };

function kindOf(card: Card, report: Report): ContactKind | undefined {
  const own = first(card, "X-EMS-KIND");
  if (own !== undefined) {
    const kind = KINDS[own.value.trim().toLowerCase()];
    if (kind === undefined) report(own.line, "X-EMS-KIND isn't known", "write user, shadow or list");
    return kind;
  }
  // Address books that write version 3.0 have the second.
  const kind = first(card, "KIND") ?? first(card, "X-ADDRESSBOOKSERVER-KIND");
  return kind?.value.trim().toLowerCase() === "group" ? "list" : undefined;
}

/** The first nickname, where it is one word: a name here never has blanks. */
function nameOf(card: Card): string | undefined {
  const property = first(card, "NICKNAME");
  const name = property === undefined ? "" : splitValue(property.value, ",")[0]!.trim();
  return name === "" || /\s/.test(name) ? undefined : name;
}

function displayNameOf(card: Card): string | undefined {
  const full = preferred(card, "FN");
  if (full !== undefined) {
    return full.parameters.get("DERIVED")?.[0]?.toLowerCase() === "true"
      ? undefined
      : unescapeText(full.value);
  }
  const parts = first(card, "N");
  if (parts === undefined) return undefined;
  // RFC 6350 6.2.2: family and given names, additional ones, prefixes and suffixes.
  const [family = "", given = "", additional = "", prefix = "", suffix = ""] = splitValue(parts.value, ";");
  return [prefix, given, additional, family, suffix].map((part) => part.trim()).filter((part) => part !== "")
    .join(" ");
}

function departmentOf(card: Card): string | undefined {
  const property = first(card, "ORG");
  if (property === undefined) return undefined;
  return splitValue(property.value, ";").slice(1).map((unit) => unit.trim()).find((unit) => unit !== "");
}

function inboundOf(card: Card, report: Report): boolean | undefined {
  const property = first(card, "X-EMS-INBOUND");
  if (property === undefined) return undefined;
  const inbound = readYesNo(property.value);
  if (inbound === undefined) report(property.line, "X-EMS-INBOUND can't be read", "write yes or no");
  return inbound;
}

const plainUid = (uid: string): string => uid.trim().toLowerCase().replace(/^urn:uuid:/, "");
const withoutScheme = (value: string): string => value.replace(/^(?:tel|mailto):/i, "");

const MEMBER_ADVICE = "name members as MEMBER:mailto:bob@example.org, or put their cards into the same file";

function membersOf(card: Card, byUid: ReadonlyMap<string, ReadContact>, report: Report): string[] {
  const members: string[] = [];
  for (const { name, value, line } of card.properties) {
    if (name !== "MEMBER" && name !== "X-ADDRESSBOOKSERVER-MEMBER") continue;
    const member = memberOf(value.trim(), byUid);
    if (member === undefined) {
      report(line, `the member ${value.trim()} can't be told by this file`, MEMBER_ADVICE);
    } else members.push(member);
  }
  return members;
}

function memberOf(value: string, byUid: ReadonlyMap<string, ReadContact>): string | undefined {
  const known = byUid.get(plainUid(value));
  if (known !== undefined) return known.name ?? known.address;
  if (!/^mailto:/i.test(value)) return undefined;
  try {
    return decodeURIComponent(value.slice("mailto:".length).replace(/\?.*$/s, ""));
  } catch {
    return undefined;
  }
}
