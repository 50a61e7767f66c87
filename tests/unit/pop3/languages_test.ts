import { assert, assertEquals, assertMatch } from "@std/assert";
import { decodeUtf8, fromLatin1 } from "../../../src/base/bytes.ts";
import { DEFAULT_LANGUAGE, LANGUAGES, lookUpLanguage } from "../../../src/pop3/languages.ts";
import { Pop3Session } from "../../../src/pop3/session.ts";
import { converse, replies, SETTINGS } from "./conversation.ts";

/** Output octets as the UTF-8 they are. */
function text(input: string): string {
  return decodeUtf8(fromLatin1(replies(input)))!;
}

Deno.test("LANG lists the languages by their own names", () => {
  assertEquals(
    text("LANG\r\n"),
    "+OK language listing follows\r\nen English\r\nde Deutsch\r\nfr Français\r\nes Español\r\n.\r\n",
  );
});

Deno.test("LANG chooses a language, tells its tag first, and keeps codes and numbers", () => {
  assertEquals(
    text("LANG de\r\nUSER alice\r\nPASS x\r\nUSER alice\r\nPASS secret\r\nDELE 1\r\nRETR 1\r\nSTAT\r\n")
      .replace(
        /\([0-9]+ Oktette\)/,
        "(N Oktette)",
      ).replace(/\+OK 2 [0-9]+/, "+OK 2 N"),
    "+OK de Antworten sind jetzt auf Deutsch\r\n+OK PASS senden\r\n" +
      "-ERR [AUTH] Benutzername oder Kennwort ist falsch\r\n+OK PASS senden\r\n" +
      "+OK Postfach enthält 3 Nachrichten (N Oktette)\r\n+OK Nachricht 1 gelöscht\r\n" +
      "-ERR Nachricht 1 ist gelöscht\r\n+OK 2 N\r\n",
  );
});

Deno.test("LANG * goes back to the default, an unknown language changes nothing", () => {
  assertEquals(
    text("LANG fr\r\nLANG tlh\r\nLANG *\r\nLANG de-\r\n"),
    "+OK fr les réponses sont désormais en français\r\n" +
      "-ERR cette langue n'est pas proposée ; LANG seul donne la liste\r\n" +
      "+OK en replies are in English now\r\n" +
      "-ERR this language is not offered; LANG alone lists those that are\r\n",
  );
});

Deno.test("LANG is possible after log-in", () => {
  assert(text("USER a\r\nPASS secret\r\nLANG es\r\nDELE 1\r\n").endsWith("+OK mensaje 1 borrado\r\n"));
});

Deno.test("lookUpLanguage() falls back as RFC 4647 3.4 says", () => {
  assertEquals(lookUpLanguage("de-AT-1996")?.tag, "de");
  assertEquals(lookUpLanguage("ES-x-private")?.tag, "es");
  assertEquals(lookUpLanguage("*")?.tag, "en");
  assertEquals(lookUpLanguage("deu"), undefined);
});

Deno.test("UTF8 is acknowledged and known to the server", () => {
  const session = new Pop3Session(SETTINGS);
  assertEquals(session.utf8, "off");
  session.receive(new TextEncoder().encode("UTF8\r\n"));
  session.next();
  assertEquals(session.utf8, "on");
  assertMatch(replies("UTF8 x\r\n"), /^-ERR UTF8 takes no argument/);
});

Deno.test("LANGUAGES have all texts, distinct tags, and fit one line each", () => {
  assertEquals(new Set(LANGUAGES.map((language) => language.tag)).size, LANGUAGES.length);
  for (const { tag, texts } of LANGUAGES) {
    for (const [key, entry] of Object.entries({ ...texts, ...texts.refused })) {
      if (typeof entry === "object") continue;
      const told = typeof entry === "function" ? (entry as (...values: unknown[]) => string)(1, 2) : entry;
      assert(key === "done" ? told === "" : told !== "", `${tag} ${key}`);
      assert(!/\p{Cc}/u.test(told) && !told.startsWith("[") && told.length < 160, `${tag} ${key}`);
    }
  }
});

Deno.test("DEFAULT_LANGUAGE is ASCII", () => {
  for (const entry of Object.values(DEFAULT_LANGUAGE.texts)) {
    const told = typeof entry === "function"
      ? (entry as (...values: unknown[]) => string)(1, 2)
      : String(entry);
    assertMatch(told, /^[\x20-\x7e]*$/);
  }
});

Deno.test("converse() in each language differs in words only", () => {
  const script =
    "USER a\r\nPASS x\r\nUSER a\r\nPASS secret\r\nSTAT\r\nLIST\r\nRETR 1\r\nTOP 1 0\r\nDELE 1\r\nRETR 9\r\nUIDL\r\nQUIT\r\n";
  const skeleton = (tag: string) => {
    const { output } = converse(`LANG ${tag}\r\n${script}`);
    return output.split("\r\n").slice(2).map((line) =>
      /^(?:\+OK(?: [0-9]+ [0-9]+$)?|-ERR(?: \[[A-Z/-]+\])?|.*)/.exec(line)![0]
    );
  };
  const english = skeleton("en");
  for (const { tag } of LANGUAGES) assertEquals(skeleton(tag), english);
});
