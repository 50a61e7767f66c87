/**
 * The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.
 *
 * ```abnf
 * client-first-message = gs2-header client-first-message-bare
 * gs2-header           = gs2-cbind-flag "," [ authzid ] ","    ; flag: "p=…" / "n" / "y"
 * authzid              = "a=" saslname
 * client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
 * username             = "n=" saslname         ; "," is =2C and "=" is =3D
 * nonce                = "r=" c-nonce          ; printable ASCII but ","
 * server-first-message = nonce "," salt "," iteration-count
 * client-final-message = "c=" base64 "," nonce ["," extensions] "," "p=" base64
 * server-final-message = "e=" error / "v=" base64
 * ```
 *
 * States: initial -> (first) -> looking-up -> (verifier) -> proving -> (final) -> done.
 *
 * Guarantees: for a user who doesn't exist, or has no verifier, the exchange looks the same up to its end: a salt that
 * is always the same for that name, the usual number of iterations, and then "invalid-proof", after the same work. The
 * `secret` that makes those salts must be the same for every exchange of one server, or a second try would tell.
 *
 * Absent on purpose: -PLUS (one of the two runtimes can't export a channel binding), and extensions, of which there are none.
 *
 * @module
 */
import { decodeUtf8, equalBytes, isAscii, latin1, utf8 } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";
import { canonicalLocal } from "../mail/address.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { isLoginName } from "./prepare.ts";
import {
  checkProof,
  hmac,
  SCRAM_ITERATIONS,
  SCRAM_KEY_OCTETS,
  SCRAM_SALT_OCTETS,
  type ScramVerifier,
  serverSignature,
} from "./scram.ts";
import { malformed, refused, type SaslStep, type ServerMechanism } from "./step.ts";

export interface ScramOptions {
  readonly random: Random;
  /** Makes the salts of users that don't exist: at least 16 random octets, the same in all threads. */
  readonly secret: Uint8Array;
  /** Iterations told to users that don't exist. @default {SCRAM_ITERATIONS} */
  readonly iterations?: number;
}

/** Octets of randomness in our half of the nonce. */
const NONCE_OCTETS = 18;
/** Longer nonces than anybody makes. */
const MAX_NONCE_OCTETS = 256;
const CLIENT_FIRST = /^([ny]|p=[A-Za-z0-9.-]+),(?:a=([^,]+))?,(.*)$/su;
const FIRST_BARE = /^n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]+)*$/u;
const CLIENT_FINAL =
  /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]+)*),p=([A-Za-z0-9+/=]+)$/u;

interface FirstMessage {
  /** Flag and authzid, both commas included: what `c=` must repeat in base64. */
  readonly gs2Header: string;
  readonly bare: string;
  readonly user: string;
  readonly nonce: string;
}

type State =
  | { readonly at: "initial" }
  | { readonly at: "looking-up"; readonly first: FirstMessage }
  | {
    readonly at: "proving";
    readonly first: FirstMessage;
    readonly nonce: string;
    readonly serverFirst: string;
    readonly verifier: ScramVerifier;
    readonly known: boolean;
  }
  | { readonly at: "done" };

export class ScramServer implements ServerMechanism {
  readonly #options: ScramOptions;
  #state: State = { at: "initial" };

  constructor(options: ScramOptions) {
    this.#options = options;
  }

  start(initial: Uint8Array | undefined): SaslStep {
    // SCRAM is client-first: without an initial response, ask for it by an empty challenge (RFC 4422 5.1).
    return initial === undefined ? { kind: "challenge", bytes: new Uint8Array(0) } : this.#first(initial);
  }

  respond(response: Uint8Array): SaslStep {
    if (this.#state.at === "initial") return this.#first(response);
    if (this.#state.at === "proving") return this.#final(response, this.#state);
    throw new Error(`SCRAM exchange takes no response while it is ${this.#state.at}`);
  }

  verifier(found: ScramVerifier | undefined): SaslStep {
    if (this.#state.at !== "looking-up") throw new Error("SCRAM exchange asked for no verifier");
    const { first } = this.#state;
    const nonce = first.nonce + toBase64(this.#options.random.bytes(NONCE_OCTETS));
    const verifier = found ?? this.#nobody(first.user);
    const serverFirst = `r=${nonce},s=${toBase64(verifier.salt)},i=${verifier.iterations}`;
    this.#state = { at: "proving", first, nonce, serverFirst, verifier, known: found !== undefined };
    return { kind: "challenge", bytes: utf8(serverFirst) };
  }

  #first(bytes: Uint8Array): SaslStep {
    const first = parseFirst(bytes);
    this.#state = "kind" in first ? { at: "done" } : { at: "looking-up", first };
    return "kind" in first ? first : { kind: "need-scram", user: first.user };
  }

  #final(bytes: Uint8Array, state: State & { at: "proving" }): SaslStep {
    this.#state = { at: "done" };
    const match = isAscii(bytes) ? CLIENT_FINAL.exec(latin1(bytes)) : null;
    if (match === null) return malformed("the client-final-message is not in SCRAM's form", "e=other-error");
    const [, withoutProof, binding, nonce, proofText] = match;
    const bound = fromBase64(binding!);
    if (bound === undefined || !equalBytes(bound, utf8(state.first.gs2Header))) {
      return malformed(
        "the channel binding does not repeat the first message",
        "e=channel-bindings-dont-match",
      );
    }
    if (nonce !== state.nonce) return malformed("the nonce is not the one of this exchange", "e=other-error");
    const proof = fromBase64(proofText!);
    if (proof?.length !== SCRAM_KEY_OCTETS) {
      return malformed("the proof is not 32 octets", "e=invalid-encoding");
    }
    const authMessage = `${state.first.bare},${state.serverFirst},${withoutProof}`;
    const right = checkProof(state.verifier, proof, { authMessage });
    if (!right || !state.known) return refused("wrong user name or password", "e=invalid-proof");
    const final = utf8(`v=${toBase64(serverSignature(state.verifier, authMessage))}`);
    return { kind: "success", user: state.first.user, final };
  }

  /** The verifier of a user that doesn't exist: no password fits it. */
  #nobody(user: string): ScramVerifier {
    const { secret, iterations } = this.#options;
    const name = canonicalLocal(user);
    return {
      iterations: iterations ?? SCRAM_ITERATIONS,
      salt: hmac(secret, `scram salt\0${name}`).slice(0, SCRAM_SALT_OCTETS),
      storedKey: hmac(secret, `scram stored key\0${name}`),
      serverKey: hmac(secret, `scram server key\0${name}`),
    };
  }
}

function parseFirst(bytes: Uint8Array): FirstMessage | SaslStep {
  const text = decodeUtf8(bytes);
  if (text === undefined) return malformed("the client-first-message is not UTF-8", "e=invalid-encoding");
  const outer = CLIENT_FIRST.exec(text);
  if (outer === null) {
    return malformed("the client-first-message is not in SCRAM's form", "e=other-error");
  }
  const [, flag, authzidText, bare] = outer;
  // RFC 5802 6: "y" (the client could bind, but believes we can't) is right here, since -PLUS isn't offered.
  if (flag!.startsWith("p")) {
    return malformed("channel binding is not offered", "e=channel-binding-not-supported");
  }
  // RFC 5802 5.1: a mandatory extension that we don't know ends the exchange.
  if (bare!.startsWith("m=")) return malformed("extension is not known", "e=extensions-not-supported");
  const inner = FIRST_BARE.exec(bare!);
  if (inner === null || inner[2]!.length > MAX_NONCE_OCTETS) {
    return malformed("the client-first-message is not in SCRAM's form", "e=other-error");
  }
  const user = saslName(inner[1]!);
  const authzid = authzidText === undefined ? undefined : saslName(authzidText);
  if (user === undefined || (authzidText !== undefined && authzid === undefined)) {
    return malformed("the user name is not in SCRAM's form", "e=invalid-username-encoding");
  }
  if (authzid !== undefined && canonicalLocal(authzid) !== canonicalLocal(user)) {
    return refused("acting for another user is not allowed", "e=other-error");
  }
  return { gs2Header: text.slice(0, text.length - bare!.length), bare: bare!, user, nonce: inner[2]! };
}

/** Reads a saslname: =2C is a comma, =3D an equals sign, and no other `=` may stand there (RFC 5802 5.1). */
function saslName(text: string): string | undefined {
  if (/=(?!2C|3D)/.test(text)) return undefined;
  const name = text.replaceAll("=2C", ",").replaceAll("=3D", "=");
  return isLoginName(name) ? name : undefined;
}
