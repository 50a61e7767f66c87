/**
 * What a POP3 session knows at a moment, and how it speaks. The verb table (commands.ts) and the session (session.ts)
 * both work on it; it decides nothing itself.
 *
 * @module
 */
import { DEFAULT_LANGUAGE, type Language, type Texts } from "./languages.ts";
import type { Listing, Maildrop } from "./maildrop.ts";
import { fitText, negative, Output, positive } from "./replies.ts";
import type { Pop3Settings, ResponseCode } from "./types.ts";

/** RFC 1939 3. */
export type State = "authorization" | "transaction" | "update";

/**
 * Who has to act next: the client (`command`, or a line of a SASL exchange), or the server, whose answer to an event is
 * awaited.
 */
export type Awaiting =
  | "command"
  | "auth-line"
  | "login-answer"
  | "auth-answer"
  | "content"
  | "update-answer"
  | "tls";

/** Open: going on. Ending: a `close` event is due. Closed: it was given. */
export type Life = "open" | "ending" | "closed";

export class Dialogue {
  readonly settings: Pop3Settings;
  readonly output: Output = new Output();
  state: State = "authorization";
  awaiting: Awaiting = "command";
  life: Life = "open";
  tls: string | undefined;
  utf8: "on" | "off" = "off";
  language: Language | undefined;
  /** The name from USER, until PASS uses it up. */
  user: string | undefined;
  maildrop: Maildrop | undefined;
  /** A LIST or UIDL whose lines are not all out yet. */
  listing: Listing | undefined;
  /** Mistakes so far. */
  errors = 0;
  /** Failed log-ins so far. */
  failedLogins = 0;

  constructor(settings: Pop3Settings, tls: string | undefined) {
    this.settings = settings;
    this.tls = tls;
  }

  get texts(): Texts {
    return (this.language ?? DEFAULT_LANGUAGE).texts;
  }

  ok(text: string): void {
    this.output.addText(positive(this.#fit(text)));
  }

  /** A refusal that is nobody's mistake, such as a message that isn't there. */
  refuse(code: ResponseCode | undefined, text: string): void {
    this.output.addText(negative(code, this.#fit(text)));
  }

  /** A refusal of something no working client sends; too many of them end the session. */
  fault(text: string): void {
    this.errors++;
    if (this.errors < this.settings.errors) return this.refuse(undefined, text);
    this.refuse(undefined, this.texts.tooManyErrors);
    this.life = "ending";
  }

  /** A multi-line response (RFC 1939 3) of lines that never begin with a dot. */
  lines(first: string, lines: readonly string[]): void {
    this.ok(first);
    this.output.addText(lines.map((line) => `${line}\r\n`).join("") + ".\r\n");
  }

  /** The server's own English sentence, or what stands for it in the client's language. */
  wording(english: string, translated: string): string {
    return this.texts === DEFAULT_LANGUAGE.texts ? english : translated;
  }

  /** Forgets what the client said in the clear (RFC 2595 4; RFC 3207 4.2 gives the reason). */
  forget(): void {
    this.user = undefined;
    this.utf8 = "off";
    this.language = undefined;
  }

  #fit(text: string): string {
    // RFC 6856 2 and 3: UTF-8 only to clients that asked for it.
    return fitText(text, this.utf8 === "on" || this.language !== undefined ? "utf-8" : "ascii");
  }
}
