/**
 * The SASL mechanisms of this server (RFC 4422): PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login) and
 * SCRAM-SHA-256 (scram_server.ts), as state machines without I/O.
 *
 * Guarantees: a mechanism ends after a fixed number of responses, whatever a client sends; nobody can act for another
 * user (an authorization identity must be empty or the user's own name); no step but `check-password` holds a password.
 *
 * @module
 */
import { decodeUtf8, utf8 } from "../base/bytes.ts";
import { canonicalLocal } from "../mail/address.ts";
import { isLoginName } from "./prepare.ts";
import { type ScramOptions, ScramServer } from "./scram_server.ts";
import { malformed, refused, type SaslStep, type ServerMechanism } from "./step.ts";

export type { SaslStep, ServerMechanism } from "./step.ts";

export type MechanismName = "SCRAM-SHA-256" | "PLAIN" | "LOGIN";

/** Best first, as they are announced where the connection is protected. */
export const MECHANISMS: readonly MechanismName[] = ["SCRAM-SHA-256", "PLAIN", "LOGIN"];
/** Those that never send a password, fit for connections without TLS. */
export const PROTECTED_MECHANISMS: readonly MechanismName[] = ["SCRAM-SHA-256"];

const EMPTY = new Uint8Array(0);

/** The mechanism of a name in any case; undefined where it is not one of ours. */
export function mechanismName(text: string): MechanismName | undefined {
  const upper = text.toUpperCase();
  return MECHANISMS.find((name) => name === upper);
}

/** Whether a mechanism sends the password itself, so that it needs TLS. */
export function sendsPassword(name: MechanismName): boolean {
  return !PROTECTED_MECHANISMS.includes(name);
}

/** A new exchange. */
export function serverMechanism(name: MechanismName, options: ScramOptions): ServerMechanism {
  switch (name) {
    case "SCRAM-SHA-256":
      return new ScramServer(options);
    case "PLAIN":
      return new PlainServer();
    case "LOGIN":
      return new LoginServer();
  }
}

/**
 * PLAIN: one message from the client.
 *
 * ```abnf
 * message = [authzid] UTF8NUL authcid UTF8NUL passwd      ; RFC 4616 2
 * ```
 */
class PlainServer implements ServerMechanism {
  start(initial: Uint8Array | undefined): SaslStep {
    return initial === undefined ? { kind: "challenge", bytes: EMPTY } : this.respond(initial);
  }

  respond(response: Uint8Array): SaslStep {
    const text = decodeUtf8(response);
    if (text === undefined) return malformed("the PLAIN message is not UTF-8");
    const parts = text.split("\0");
    const [authzid, user, password] = parts;
    if (parts.length !== 3 || user === "" || password === "") {
      return malformed("the PLAIN message is not authzid NUL user NUL password");
    }
    if (!isLoginName(user!)) return refused("wrong user name or password");
    if (authzid !== "" && canonicalLocal(authzid!) !== canonicalLocal(user!)) {
      return refused("acting for another user is not allowed");
    }
    return { kind: "check-password", user: user!, password: password! };
  }

  verifier(): SaslStep {
    throw new Error("PLAIN asks for no verifier");
  }
}

/** LOGIN: user name and password, each to a prompt. An initial response is the user name. */
class LoginServer implements ServerMechanism {
  #user: string | undefined;

  start(initial: Uint8Array | undefined): SaslStep {
    return initial === undefined ? prompt("Username:") : this.respond(initial);
  }

  respond(response: Uint8Array): SaslStep {
    const text = decodeUtf8(response);
    if (text === undefined) return malformed("the LOGIN response is not UTF-8");
    if (this.#user !== undefined) {
      if (text === "" || text.includes("\0")) return malformed("the LOGIN response holds no password");
      return { kind: "check-password", user: this.#user, password: text };
    }
    if (!isLoginName(text)) return malformed("the LOGIN response holds no user name");
    this.#user = text;
    return prompt("Password:");
  }

  verifier(): SaslStep {
    throw new Error("LOGIN asks for no verifier");
  }
}

function prompt(text: string): SaslStep {
  return { kind: "challenge", bytes: utf8(text) };
}
