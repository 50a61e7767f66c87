/**
 * The verb table: where each command is allowed, what is checked, and what it does.
 *
 * | state | verbs |
 * |---|---|
 * | AUTHORIZATION | USER PASS AUTH STLS UTF8 CAPA LANG QUIT |
 * | TRANSACTION | STAT LIST RETR DELE NOOP RSET TOP UIDL CAPA LANG QUIT |
 * | UPDATE | none |
 *
 * @module
 */
import { capabilities, mayUseClearText, usableMechanisms } from "./capabilities.ts";
import type { Dialogue, State } from "./dialogue.ts";
import {
  decodeText,
  parseAuth,
  parseLanguageRange,
  parseMessageNumber,
  parseTop,
  parseUser,
} from "./grammar.ts";
import type { AuthArgument } from "./grammar.ts";
import { LANGUAGES, lookUpLanguage } from "./languages.ts";
import type { Language } from "./languages.ts";
import { Listing, scanListing } from "./maildrop.ts";
import type { Pop3Event } from "./types.ts";

/** One row, for an argument that `check` turned into an `A`. */
interface Row<A> {
  readonly states: readonly State[];
  /** The argument's meaning, or undefined after it has been refused. */
  check(session: Dialogue, argument: string): A | undefined;
  /** Answers, or gives the event the server has to answer. */
  proceed(session: Dialogue, argument: A): Pop3Event | undefined;
}

/** One row with its check and proceed joined. */
export interface Verb {
  readonly states: readonly State[];
  run(session: Dialogue, argument: string): Pop3Event | undefined;
}

function verb<A>(row: Row<A>): Verb {
  return {
    states: row.states,
    run(session, argument) {
      const checked = row.check(session, argument);
      return checked === undefined ? undefined : row.proceed(session, checked);
    },
  };
}

const BEFORE: readonly State[] = ["authorization"];
const AFTER: readonly State[] = ["transaction"];
const EITHER: readonly State[] = ["authorization", "transaction"];

// ---------------------------------------------------------------- checks

type Present = "present";

function noArgument(name: string): Row<Present>["check"] {
  return (session, argument) => {
    if (argument.trim() === "") return "present";
    session.fault(session.texts.noArgument(name));
    return undefined;
  };
}

function clearTextAllowed(session: Dialogue): boolean {
  if (mayUseClearText(session.settings, session)) return true;
  session.fault(session.texts.clearTextRefused);
  return false;
}

function checkUser(session: Dialogue, argument: string): string | undefined {
  if (!clearTextAllowed(session)) return undefined;
  const name = parseUser(argument);
  if (name === undefined) session.fault(session.texts.wantsName);
  return name;
}

function checkPass(
  session: Dialogue,
  argument: string,
): { readonly user: string; readonly password: string } | undefined {
  if (!clearTextAllowed(session)) return undefined;
  const { user } = session;
  const password = decodeText(argument);
  if (user === undefined) session.fault(session.texts.wantsUserFirst);
  else if (argument === "") session.fault(session.texts.wantsPassword);
  else if (password === undefined) session.fault(session.texts.notUtf8);
  else return { user, password };
  return undefined;
}

function checkAuth(session: Dialogue, argument: string): AuthArgument | "list" | undefined {
  if (argument.trim() === "") return "list";
  const auth = parseAuth(argument);
  if (auth === "not-a-mechanism") session.fault(session.texts.wantsMechanism);
  else if (auth === "not-base64") session.fault(session.texts.notBase64);
  else if (usableMechanisms(session.settings, session).includes(auth.mechanism)) return auth;
  else if (!session.settings.mechanisms.includes(auth.mechanism)) {
    session.fault(session.texts.unknownMechanism);
  } else session.fault(session.texts.clearTextRefused);
  return undefined;
}

function checkStls(session: Dialogue, argument: string): Present | undefined {
  const { texts, settings } = session;
  if (noArgument("STLS")(session, argument) === undefined) return undefined;
  if (session.tls !== undefined) session.fault(texts.tlsAlready); // RFC 2595 4
  else if (settings.stls === "none") session.fault(texts.tlsNotOffered);
  else if (session.utf8 === "on") session.fault(texts.tlsAfterUtf8); // RFC 6856 2.1
  else return "present";
  return undefined;
}

function checkLang(session: Dialogue, argument: string): Language | "list" | undefined {
  const range = parseLanguageRange(argument);
  if (range === "") return "list";
  const language = range === undefined ? undefined : lookUpLanguage(range);
  // Not a mistake: a client tries what its user prefers.
  if (language === undefined) session.refuse(undefined, session.texts.languageUnknown);
  return language;
}

/** The index of a message that is there and not marked as deleted (RFC 1939 5). */
function existing(session: Dialogue, number: number): number | undefined {
  const maildrop = session.maildrop!;
  if (number < 1 || number > maildrop.length) {
    session.refuse(undefined, session.texts.noSuchMessage(maildrop.length));
    return undefined;
  }
  if (maildrop.isDeleted(number - 1)) {
    session.refuse(undefined, session.texts.isDeleted(number));
    return undefined;
  }
  return number - 1;
}

function oneMessage(name: string): (session: Dialogue, argument: string) => number | undefined {
  return (session, argument) => {
    const number = parseMessageNumber(argument);
    if (number !== undefined) return existing(session, number);
    session.fault(session.texts.wantsNumber(name));
    return undefined;
  };
}

function oneOrAll(name: string): (session: Dialogue, argument: string) => number | "all" | undefined {
  const one = oneMessage(name);
  return (session, argument) => argument.trim() === "" ? "all" : one(session, argument);
}

function checkTop(
  session: Dialogue,
  argument: string,
): { readonly index: number; readonly lines: number } | undefined {
  const top = parseTop(argument);
  if (top === undefined) {
    session.fault(session.texts.wantsTop);
    return undefined;
  }
  const index = existing(session, top.number);
  return index === undefined ? undefined : { index, lines: top.lines };
}

// ---------------------------------------------------------------- what is done

function list(session: Dialogue, which: number | "all"): undefined {
  const maildrop = session.maildrop!;
  if (which !== "all") {
    session.ok(scanListing(maildrop, which, "sizes"));
    return;
  }
  session.ok(session.texts.listing(maildrop.messages, maildrop.octets));
  session.listing = new Listing(maildrop, "sizes");
}

function uidl(session: Dialogue, which: number | "all"): undefined {
  const maildrop = session.maildrop!;
  if (which !== "all") {
    session.ok(scanListing(maildrop, which, "unique-ids"));
    return;
  }
  session.ok(session.texts.uniqueIds);
  session.listing = new Listing(maildrop, "unique-ids");
}

function auth(session: Dialogue, argument: AuthArgument | "list"): Pop3Event | undefined {
  if (argument === "list") {
    // Not in RFC 5034: what clients older than CAPA send to see the mechanisms.
    session.lines(session.texts.mechanismList, usableMechanisms(session.settings, session));
    return undefined;
  }
  session.awaiting = "auth-answer";
  const { mechanism, initial } = argument;
  return initial === undefined ? { kind: "auth", mechanism } : { kind: "auth", mechanism, initial };
}

function lang(session: Dialogue, argument: Language | "list"): undefined {
  if (argument === "list") {
    const lines = LANGUAGES.map((language) => `${language.tag} ${language.name}`);
    session.lines(session.texts.languageList, lines);
    return;
  }
  session.language = argument;
  // RFC 6856 3: the tag that was chosen stands first.
  session.ok(`${argument.tag} ${argument.texts.languageChosen}`);
}

function quit(session: Dialogue): Pop3Event | undefined {
  if (session.state === "authorization") {
    // RFC 1939 4: from here QUIT does not lead to the UPDATE state.
    session.ok(session.texts.goodbye(session.settings.hostname));
    session.life = "ending";
    return undefined;
  }
  session.state = "update"; // RFC 1939 6
  session.awaiting = "update-answer";
  return { kind: "update", deleted: session.maildrop!.deleted() };
}

// ---------------------------------------------------------------- the table

/** Each verb there is, by its name in upper case. */
export const VERBS: ReadonlyMap<string, Verb> = new Map<string, Verb>([
  // RFC 1939 7: the reply is the same whether or not there is such a user, so that names can't be found out.
  [
    "USER",
    verb({
      states: BEFORE,
      check: checkUser,
      proceed(session, name) {
        session.user = name;
        session.ok(session.texts.passwordWanted);
        return undefined;
      },
    }),
  ],
  [
    "PASS",
    verb({
      states: BEFORE,
      check: checkPass,
      proceed(session, { user, password }) {
        session.user = undefined;
        session.awaiting = "login-answer";
        return { kind: "login", user, password };
      },
    }),
  ],
  ["AUTH", verb({ states: BEFORE, check: checkAuth, proceed: auth })], // RFC 5034
  [
    "STLS",
    verb({ // RFC 2595 4
      states: BEFORE,
      check: checkStls,
      proceed(session) {
        session.ok(session.texts.tlsBegins);
        session.awaiting = "tls";
        return { kind: "stls" };
      },
    }),
  ],
  [
    "UTF8",
    verb({ // RFC 6856 2
      states: BEFORE,
      check: noArgument("UTF8"),
      proceed(session) {
        session.utf8 = "on";
        session.ok(session.texts.utf8On);
        return undefined;
      },
    }),
  ],
  [
    "CAPA",
    verb({ // RFC 2449 5
      states: EITHER,
      check: noArgument("CAPA"),
      proceed(session) {
        session.lines(session.texts.capabilityList, capabilities(session.settings, session));
        return undefined;
      },
    }),
  ],
  ["LANG", verb({ states: EITHER, check: checkLang, proceed: lang })], // RFC 6856 3
  ["QUIT", verb({ states: EITHER, check: noArgument("QUIT"), proceed: quit })],
  [
    "STAT",
    verb({
      states: AFTER,
      check: noArgument("STAT"),
      proceed(session) {
        const { messages, octets } = session.maildrop!;
        session.ok(`${messages} ${octets}`);
        return undefined;
      },
    }),
  ],
  ["LIST", verb({ states: AFTER, check: oneOrAll("LIST"), proceed: list })],
  ["UIDL", verb({ states: AFTER, check: oneOrAll("UIDL"), proceed: uidl })],
  [
    "RETR",
    verb({
      states: AFTER,
      check: oneMessage("RETR"),
      proceed(session, index) {
        session.awaiting = "content";
        return { kind: "retrieve", index, lines: "all" };
      },
    }),
  ],
  [
    "TOP",
    verb({
      states: AFTER,
      check: checkTop,
      proceed(session, { index, lines }) {
        session.awaiting = "content";
        return { kind: "retrieve", index, lines };
      },
    }),
  ],
  [
    "DELE",
    verb({
      states: AFTER,
      check: oneMessage("DELE"),
      proceed(session, index) {
        session.maildrop!.delete(index);
        session.ok(session.texts.deleted(index + 1));
        return undefined;
      },
    }),
  ],
  [
    "NOOP",
    verb({
      states: AFTER,
      check: noArgument("NOOP"),
      proceed(session) {
        session.ok(session.texts.done);
        return undefined;
      },
    }),
  ],
  [
    "RSET",
    verb({
      states: AFTER,
      check: noArgument("RSET"),
      proceed(session) {
        const maildrop = session.maildrop!;
        maildrop.undelete();
        session.ok(session.texts.maildrop(maildrop.messages, maildrop.octets));
        return undefined;
      },
    }),
  ],
]);
