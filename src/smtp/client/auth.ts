/**
 * A log-in at another server (RFC 4954), as steps: SCRAM-SHA-256, PLAIN (RFC 4616) or LOGIN, the best that is offered.
 *
 * Guarantees: an exchange ends after a fixed number of responses, whatever the server sends; after SCRAM a server that has not
 * shown that it knows the password is not believed. Whether the connection is protected is the caller's to see to.
 *
 * @module
 */
import { utf8 } from "../../base/bytes.ts";
import { decodeResponse, toBase64 } from "../../sasl/base64.ts";
import { type MechanismName, MECHANISMS } from "../../sasl/mechanisms.ts";
import { ScramClient } from "../../sasl/scram_client.ts";
import type { ClientCredentials } from "./types.ts";

/** RFC 5321 4.5.3.1.4; RFC 4954 4: a longer initial response waits for a challenge. */
const COMMAND_OCTETS = 512;

/** The best mechanism in EHLO's AUTH line. */
export function bestMechanism(offered: string): MechanismName | undefined {
  const names = offered.toUpperCase().split(/ +/);
  return MECHANISMS.find((name) => names.includes(name));
}

/** Checks that credentials can be used with any mechanism. @throws {RangeError} where they can't */
export function checkCredentials({ user, password, nonce }: ClientCredentials): void {
  if (user === "" || user.includes("\0") || password === "" || password.includes("\0")) {
    throw new RangeError("a user name and a password must not be empty or hold NUL");
  }
  if (!/^[\x21-\x2b\x2d-\x7e]+$/.test(nonce)) {
    throw new RangeError("a nonce must be printable ASCII without commas");
  }
}

export type AuthStep =
  /** A line to send. */
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "failure"; readonly text: string };

export class AuthExchange {
  readonly mechanism: MechanismName;
  readonly #scram: ScramClient | undefined;
  /** What answers the next challenges, whatever they say. */
  readonly #responses: Uint8Array[] = [];

  constructor(mechanism: MechanismName, credentials: ClientCredentials) {
    const { user, password } = credentials;
    this.mechanism = mechanism;
    switch (mechanism) {
      case "SCRAM-SHA-256":
        this.#scram = new ScramClient(credentials);
        this.#responses.push(this.#scram.first());
        break;
      case "PLAIN":
        this.#responses.push(utf8(`\0${user}\0${password}`));
        break;
      case "LOGIN":
        this.#responses.push(utf8(user), utf8(password));
    }
  }

  /** The AUTH command. */
  start(): string {
    const command = `AUTH ${this.mechanism}`;
    if (this.mechanism === "LOGIN") return command;
    const withResponse = `${command} ${toBase64(this.#responses[0]!)}`;
    if (withResponse.length + 2 > COMMAND_OCTETS) return command;
    this.#responses.shift();
    return withResponse;
  }

  /** Answers a 334. */
  respond(challenge: string): AuthStep {
    const prepared = this.#responses.shift();
    if (prepared !== undefined) return { kind: "line", text: toBase64(prepared) };
    if (this.#scram === undefined) {
      return { kind: "failure", text: "the server asks for more than the log-in holds" };
    }
    const bytes = decodeResponse(challenge.trim());
    if (bytes === undefined) return { kind: "failure", text: "the server's challenge is not base64" };
    const answer = this.#scram.respond(bytes);
    return answer.kind === "failure" ? answer : { kind: "line", text: toBase64(answer.bytes) };
  }

  /** Why a server's "yes" is not believed; undefined where it is. */
  get doubt(): string | undefined {
    if (this.#scram === undefined || this.#scram.verified) return undefined;
    return "the server accepted the log-in without showing that it knows the password";
  }
}
