/**
 * Finds whom a note's recipients mean, without looking anything up itself:
 *
 * - `/MHS user@workgroup` is the gateway's, and becomes a mail address (mail/gateway_address.ts)
 * - `bobl@example.com` belongs to the default gateway; with another default than SMTP, addresses of this system and of
 *   its gateways are what they are nevertheless
 * - `BOBL` is one of the user's nicknames, or else a name of the directory, or the beginning of one only
 * - `"Bob Long"` is all that, or else a display name of the directory
 *
 * The caller asks next() what to look up and tells found() what there is:
 *
 * ```ts
 * const resolution = new AddresseeResolution(note.recipients, options);
 * let step = resolution.next();
 * for (; step.kind !== "done"; step = resolution.next()) resolution.found(await lookUp(step));
 * // step.addressees, step.problems
 * ```
 *
 * Guarantees: ends, whatever the nicknames say; each address comes out once, in the first header that names it; what is
 * not found, or is more than one, is a problem at its place and never a guess.
 *
 * States: waiting for next() <-> waiting for found(), then done.
 *
 * Absent on purpose: whether mail may go there (routing decides), and who a list's or alias's members are.
 *
 * @module
 */
import {
  type Address,
  canonicalAddress,
  canonicalDomain,
  canonicalLocal,
  formatAddress,
  parseAddress,
  parseLocalPart,
} from "../mail/address.ts";
import { isOnGateway, toMailAddress } from "../mail/gateway_address.ts";
import { ambiguityWords, unknownHint } from "./candidates.ts";
import type { NoteHeader, NoteProblem, NoteRecipient, Place } from "./note_types.ts";

/** An entry of the directory, as far as addressing goes. */
export interface Listed {
  readonly kind: "account" | "alias" | "shadow" | "list";
  /** `bobl` or `bobl@example.org`. */
  readonly name: string;
  /** "" where it has none. */
  readonly displayName: string;
  readonly department: string;
  /** A shadow's destination. */
  readonly address?: string;
}

export interface AddresseeOptions {
  /** The user's own names, in canonical form. */
  readonly nicknames: readonly { readonly name: string; readonly addresses: readonly string[] }[];
  /** Gateways other than SMTP; domains are canonical. */
  readonly gateways: readonly { readonly name: string; readonly domain: string }[];
  /** Whose a plain address is: `smtp` or one of the gateways. */
  readonly defaultGateway: string;
  /** The domains of this system, canonical; the first is that of names. */
  readonly domains: readonly [string, ...string[]];
  /** What parts a name from its detail; "": nothing. */
  readonly plus: string;
  /** Recipients of one note at most. */
  readonly limit: number;
}

/** One recipient found. */
export interface Addressee {
  readonly header: NoteHeader;
  /** Where the note names it. */
  readonly place: Place;
  /** As it is written. */
  readonly written: string;
  readonly address: Address;
  /** "" where none is known. */
  readonly displayName: string;
  /** How it was found, from what was written to the address: `nickname boss`, `shadow bobl`; empty for an address. */
  readonly by: readonly string[];
}

export type AddresseeStep =
  /** The first of these names that exists, or none. */
  | { readonly kind: "names"; readonly names: readonly string[] }
  /** All entries whose names begin so. */
  | { readonly kind: "prefix"; readonly prefix: string }
  /** All entries that have each of these words in them. */
  | { readonly kind: "words"; readonly words: readonly string[] }
  /** All entries. */
  | { readonly kind: "everybody" }
  | {
    readonly kind: "done";
    /** Of no use where there are problems. */
    readonly addressees: readonly Addressee[];
    readonly problems: readonly NoteProblem[];
  };

export type AddresseeLookUp = Exclude<AddresseeStep, { readonly kind: "done" }>;

export class AddresseeResolution {
  readonly #search: Generator<AddresseeLookUp, void, readonly Listed[]>;
  readonly #finder: Finder;
  #asked: AddresseeLookUp | undefined;

  constructor(recipients: readonly NoteRecipient[], options: AddresseeOptions) {
    this.#finder = new Finder(options);
    this.#search = this.#finder.findAll(recipients);
    this.#take(this.#search.next());
  }

  /** What to do next; the same again until found() was called. */
  next(): AddresseeStep {
    const { addressees, problems } = this.#finder;
    return this.#asked ?? { kind: "done", addressees: [...addressees.values()], problems };
  }

  /**
   * Says what there is of what was last asked for.
   * @throws {Error} where nothing was asked
   */
  found(entries: readonly Listed[]): void {
    if (this.#asked === undefined) throw new Error("found() was called though next() asked for nothing");
    this.#take(this.#search.next(entries));
  }

  #take(result: IteratorResult<AddresseeLookUp, void>): void {
    this.#asked = result.done === true ? undefined : result.value;
  }
}

/** A name on its way to an address. */
interface Sought {
  readonly recipient: NoteRecipient;
  /** As the note or a nickname has it. */
  readonly text: string;
  /** Nicknames that led here. */
  readonly path: readonly string[];
}

type Search = Generator<AddresseeLookUp, void, readonly Listed[]>;

class Finder {
  readonly addressees = new Map<string, Addressee>();
  readonly problems: NoteProblem[] = [];
  readonly #options: AddresseeOptions;
  /** All entries; read once, for suggestions. */
  #everybody: readonly Listed[] | undefined;

  constructor(options: AddresseeOptions) {
    this.#options = options;
  }

  *findAll(recipients: readonly NoteRecipient[]): Search {
    for (const recipient of recipients) {
      if (recipient.gateway !== undefined) this.#byGateway(recipient, recipient.gateway);
      else if (isAddress(recipient.text)) this.#byAddress(recipient);
      else yield* this.#byName({ recipient, text: recipient.text, path: [] }, new Set());
      if (this.addressees.size > this.#options.limit) {
        const hint =
          `${this.#options.limit} is the most; send it to a distribution list, or as several notes`;
        return this.#problem(recipient, "these are too many recipients", hint);
      }
    }
  }

  /** `/SMTP bobl@example.com`, `/MHS user@workgroup`. */
  #byGateway(recipient: NoteRecipient, gateway: string): void {
    const { text } = recipient;
    if (gateway === "smtp") {
      if (isAddress(text)) return this.#mailAddress({ recipient, text, path: [] }, []);
      const hint = `write it as name@domain, or leave /SMTP out to find ${text} in the directory`;
      return this.#problem(recipient, `${text} is no mail address, and /SMTP takes nothing else`, hint);
    }
    const known = this.#options.gateways.find(({ name }) => name === gateway);
    // The parser has told of a gateway that there isn't.
    if (known === undefined) return;
    this.#mapped(recipient, known);
  }

  /** `bobl@example.com`, without a gateway. */
  #byAddress(recipient: NoteRecipient): void {
    const { gateways, defaultGateway, domains } = this.#options;
    const known = gateways.find(({ name }) => name === defaultGateway);
    const address = parseAddress(recipient.text);
    const isOurs = !("error" in address) && (domains.includes(canonicalDomain(address.domain)) ||
      gateways.some(({ domain }) => isOnGateway(address, domain)));
    if (known === undefined || isOurs) this.#mailAddress({ recipient, text: recipient.text, path: [] }, []);
    else this.#mapped(recipient, known);
  }

  #mapped(recipient: NoteRecipient, { name, domain }: AddresseeOptions["gateways"][number]): void {
    const address = toMailAddress(quotedWhereNeeded(recipient.text), domain);
    if ("error" in address) {
      return this.#problem(recipient, address.error, `as in /${name.toUpperCase()} user@workgroup`);
    }
    this.#add(recipient, { address, displayName: recipient.displayName, by: [`gateway ${name}`] });
  }

  /** A name: the user's own first, then the directory's. `opened` are the nicknames that this recipient came through. */
  *#byName(sought: Sought, opened: Set<string>): Search {
    const { recipient, text, path } = sought;
    const name = canonicalLocal(text);
    const nickname = this.#options.nicknames.find((each) => each.name === name);
    // A nickname that names itself means the directory's entry of that name.
    if (nickname === undefined || path.includes(name)) return yield* this.#inDirectory(sought);
    if (opened.has(name)) return;
    opened.add(name);
    const inside = [...path, name];
    for (const target of nickname.addresses) {
      const next = { recipient, text: target, path: inside };
      if (isAddress(target)) this.#mailAddress(next, []);
      else yield* this.#byName(next, opened);
    }
  }

  *#inDirectory(sought: Sought): Search {
    const { recipient, text, path } = sought;
    const name = canonicalLocal(text);
    const isWord = typeof parseLocalPart(name) === "string" && !name.startsWith('"');
    if (isWord) {
      const [exact] = yield { kind: "names", names: this.#candidates(name) };
      if (exact !== undefined) return this.#entry(sought, exact, detailOf(name, exact.name));
      const inside = path.includes(name) ? undefined : realEntries(yield { kind: "prefix", prefix: name });
      if (inside !== undefined && inside.length > 0) {
        return this.#only(sought, inside, "several names begin so");
      }
    } else {
      const entries = realEntries(
        yield { kind: "words", words: name.split(/\s+/).filter((word) => word !== "") },
      );
      const named = entries.filter(({ displayName }) => canonicalLocal(displayName) === name);
      if (named.length > 0) return this.#only(sought, named, "several people are called so");
    }
    if (path.includes(name)) {
      const hint = `give the nickname an address, or another name: ${path.join(" > ")} > ${name}`;
      return this.#problem(recipient, `the nickname ${name} leads back to itself`, hint);
    }
    this.#everybody ??= yield { kind: "everybody" };
    const known = [...this.#options.nicknames, ...realEntries(this.#everybody)];
    const by = path.length === 0 ? "" : ` (by nickname ${path.join(" > ")})`;
    this.#problem(recipient, `nobody is called ${text}${by}`, unknownHint(text, known));
  }

  /** The one entry there is. */
  #only(sought: Sought, entries: readonly Listed[], why: string): void {
    const [first] = entries;
    if (entries.length === 1) return this.#entry(sought, first!, "");
    this.#problem(
      sought.recipient,
      `${sought.text} may be any of ${entries.length}: ${why}`,
      ambiguityWords(entries),
    );
  }

  #entry(sought: Sought, entry: Listed, detail: string): void {
    const by = [`${entry.kind} ${entry.name}`];
    if (entry.kind === "shadow") {
      return this.#mailAddress({ ...sought, text: entry.address ?? "" }, by, entry.displayName);
    }
    const at = entry.name.lastIndexOf("@");
    const local = at < 0 ? entry.name : entry.name.slice(0, at);
    const parsed = parseLocalPart(local);
    const domain = at < 0 ? this.#options.domains[0] : entry.name.slice(at + 1);
    const address = { local: (typeof parsed === "string" ? parsed : local) + detail, domain };
    this.#add(sought.recipient, {
      address,
      displayName: entry.displayName,
      by: [...nicknames(sought), ...by],
    });
  }

  #mailAddress(sought: Sought, by: readonly string[], displayName = ""): void {
    const address = parseAddress(sought.text);
    if ("error" in address) return this.#problem(sought.recipient, address.error, hintOf(sought, by));
    this.#add(sought.recipient, { address, displayName, by: [...nicknames(sought), ...by] });
  }

  #add(recipient: NoteRecipient, found: Pick<Addressee, "address" | "displayName" | "by">): void {
    const { header, line, column, length, text } = recipient;
    const { address } = found;
    // Elsewhere, local parts that differ in case are different people (RFC 5321 2.4).
    const isOurs = this.#options.domains.includes(canonicalDomain(address.domain));
    const key = isOurs
      ? canonicalAddress(address)
      : formatAddress({ ...address, domain: canonicalDomain(address.domain) });
    const known = this.addressees.get(key);
    if (known !== undefined && RANK[known.header] <= RANK[header]) return;
    const displayName = recipient.displayName || found.displayName;
    this.addressees.set(key, {
      header,
      place: { line, column, length },
      written: text,
      address,
      displayName,
      by: found.by,
    });
  }

  /** The names an entry may have that `name` is meant for, the most particular first, as a mail address finds them. */
  #candidates(name: string): string[] {
    const { domains, plus } = this.#options;
    const at = plus === "" ? -1 : name.indexOf(plus, 1);
    const names = at < 0 ? [name] : [name, name.slice(0, at)];
    return names.flatMap((each) => [`${each}@${domains[0]}`, each]);
  }

  #problem({ line, column, length }: Place, message: string, hint: string): void {
    this.problems.push({ line, column, length, message, hint });
  }
}

/** Who is in several headers stands in the first of these. */
const RANK: { readonly [header in NoteHeader]: number } = { to: 0, cc: 1, bcc: 2 };

function isAddress(text: string): boolean {
  return text.includes("@");
}

function nicknames({ path }: Sought): string[] {
  return path.map((name) => `nickname ${name}`);
}

/** Where a bad address comes from that isn't in the note itself. */
function hintOf(sought: Sought, by: readonly string[]): string {
  const way = [...nicknames(sought), ...by];
  return way.length === 0 ? "write it as name@domain" : `${way.join(" > ")} has that address`;
}

/** `+lists` of `alice+lists`, where the entry is called `alice`. */
function detailOf(asked: string, found: string): string {
  const at = found.lastIndexOf("@");
  const name = at < 0 ? found : found.slice(0, at);
  return asked === name ? "" : asked.slice(name.length);
}

/** Without catch-alls, which are no names. */
function realEntries(entries: readonly Listed[]): Listed[] {
  return entries.filter(({ name }) => !name.startsWith("@"));
}

/** A name with blanks as a local part has it: `"John Doe"@sales`. A second @ is a mistake, and stays one. */
function quotedWhereNeeded(text: string): string {
  const at = text.lastIndexOf("@");
  const local = at < 0 ? text : text.slice(0, at);
  if (typeof parseLocalPart(local) === "string" || local.includes("@")) return text;
  return formatAddress({ local, domain: "" }) + (at < 0 ? "" : text.slice(at));
}
