/**
 * How a session opens: greeting, EHLO or HELO, STARTTLS and EHLO again, log-in. A reply in, the next step out.
 *
 * Guarantees: what was learnt in the clear is forgotten with TLS (RFC 3207 4.2); no log-in without TLS, whatever is asked for.
 *
 * @module
 */
import type { Reply } from "../../mail/reply.ts";
import { MECHANISMS } from "../../sasl/mechanisms.ts";
import { AuthExchange, bestMechanism } from "./auth.ts";
import type { ClientVerb } from "./commands.ts";
import type { Dialogue } from "./dialogue.ts";
import { type Extensions, parseExtensions } from "./extensions.ts";
import type { Command } from "./pipeline.ts";
import type { ClientFault, ClientSettings, ClientStage } from "./types.ts";

/** A reply, and what it means to the command that it belongs to. */
export interface Answered {
  readonly answer: Reply;
  readonly meant: "good" | "refused";
}

/** Why a session ends before its time. */
export interface Failure {
  readonly problem: string;
  readonly fault: ClientFault;
  readonly stage: ClientStage;
  readonly reply?: Reply;
  /** Commands sent without waiting for a reply, so that the server hears of the end (RFC 5321 4.1.1.10). */
  readonly farewell?: string;
}

export type OpeningStep =
  | { readonly kind: "ask"; readonly command: Command }
  | { readonly kind: "handshake" }
  | { readonly kind: "ready" }
  | { readonly kind: "fail"; readonly failure: Failure };

export const NO_EXTENSIONS: Extensions = new Map();
const QUIT = "QUIT\r\n";
const READY: OpeningStep = { kind: "ready" };
/** RFC 5321 3.2, 4.2.4: what a server says that knows HELO only. */
const EHLO_UNKNOWN: readonly number[] = [500, 501, 502, 504];

export class Opening {
  readonly #settings: ClientSettings;
  readonly #dialogue: Dialogue;
  #extensions: Extensions = NO_EXTENSIONS;
  #tls: string | undefined;
  #auth: AuthExchange | undefined;

  constructor(settings: ClientSettings, dialogue: Dialogue) {
    this.#settings = settings;
    this.#dialogue = dialogue;
    this.#tls = settings.tls;
  }

  /** What EHLO offered. */
  get extensions(): Extensions {
    return this.#extensions;
  }

  /** The TLS session's description; undefined in the clear. */
  get tls(): string | undefined {
    return this.#tls;
  }

  /** The TLS handshake is done: the session begins anew. */
  secured(description: string): OpeningStep {
    this.#tls = description;
    this.#extensions = NO_EXTENSIONS;
    return this.#hello("EHLO");
  }

  /** Takes a reply to a command of the opening. */
  answered(verb: ClientVerb, { answer, meant }: Answered): OpeningStep {
    if (meant === "refused") return this.#refused(verb, answer);
    switch (verb) {
      case "greeting":
        return this.#hello("EHLO");
      case "STARTTLS":
        return { kind: "handshake" };
      case "AUTH":
        return this.#authAnswered(answer);
      default:
        this.#extensions = verb === "EHLO" ? parseExtensions(answer) : NO_EXTENSIONS;
        return this.#greeted();
    }
  }

  #refused(verb: ClientVerb, answer: Reply): OpeningStep {
    switch (verb) {
      case "STARTTLS": // RFC 3207 4.1: whether to go on in the clear is the client's to say
        if (this.#settings.starttls !== "required") return this.#logIn();
        return fail("tls-unavailable", "the server offers STARTTLS and refuses it", {
          stage: "starttls",
          reply: answer,
        });
      case "AUTH":
        return fail("auth", "the server refuses the log-in", { stage: "auth", reply: answer });
      case "EHLO":
        if (EHLO_UNKNOWN.includes(answer.code)) return this.#hello("HELO");
        return fail("refused", "the server refuses the session", { stage: "ehlo", reply: answer });
      default: {
        const stage = verb === "greeting" ? "greeting" : "ehlo";
        return fail("refused", "the server refuses the session", { stage, reply: answer });
      }
    }
  }

  #hello(verb: "EHLO" | "HELO"): OpeningStep {
    return { kind: "ask", command: { verb, line: `${verb} ${this.#settings.hostname}` } };
  }

  /** The session was opened, for the first time or after TLS. */
  #greeted(): OpeningStep {
    const { starttls } = this.#settings;
    if (this.#tls === undefined && starttls !== "never") {
      if (this.#extensions.has("STARTTLS")) {
        return { kind: "ask", command: { verb: "STARTTLS", line: "STARTTLS" } };
      }
      if (starttls === "required") {
        const problem = "the server does not offer STARTTLS, and the connection must be by TLS";
        return fail("tls-unavailable", problem, { stage: "starttls" });
      }
    }
    return this.#logIn();
  }

  #logIn(): OpeningStep {
    const { credentials } = this.#settings;
    if (credentials === undefined) return READY;
    if (this.#tls === undefined) {
      return fail("auth", "a log-in is only done by TLS, and the connection has none", { stage: "auth" });
    }
    const offered = this.#extensions.get("AUTH");
    const mechanism = offered === undefined ? undefined : bestMechanism(offered);
    if (mechanism === undefined) {
      const what = offered === undefined ? "offers no log-in" : `offers log-in by ${offered || "nothing"}`;
      return fail("auth", `the server ${what}: expected one of ${MECHANISMS.join(", ")}`, { stage: "auth" });
    }
    this.#dialogue.hide(credentials.password);
    this.#auth = new AuthExchange(mechanism, credentials);
    const line = this.#auth.start();
    const initial = line.split(" ")[2];
    if (initial !== undefined) this.#dialogue.hide(initial);
    const shown = initial === undefined ? line : `AUTH ${mechanism} ***`;
    return { kind: "ask", command: { verb: "AUTH", line, shown } };
  }

  #authAnswered(answer: Reply): OpeningStep {
    const exchange = this.#auth!;
    if (answer.code !== 334) {
      this.#auth = undefined;
      return exchange.doubt === undefined ? READY : fail("auth", exchange.doubt, { stage: "auth" });
    }
    const step = exchange.respond(answer.lines[0]!);
    // RFC 4954 4: "*" cancels.
    if (step.kind === "failure") return fail("auth", step.text, { stage: "auth", farewell: `*\r\n${QUIT}` });
    this.#dialogue.hide(step.text);
    return { kind: "ask", command: { verb: "AUTH", line: step.text, shown: "***" } };
  }
}

function fail(
  fault: ClientFault,
  problem: string,
  options: { readonly stage: ClientStage; readonly reply?: Reply; readonly farewell?: string },
): OpeningStep {
  return { kind: "fail", failure: { farewell: QUIT, ...options, fault, problem } };
}
