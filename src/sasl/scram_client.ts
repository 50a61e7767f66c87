/**
 * The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding: for logging in at a smarthost.
 *
 * States: initial -> (first) -> waiting -> (server-first) -> proving -> (server-final) -> done.
 *
 * Guarantees: the exchange is only `verified` where the server has shown that it knows the password's verifier too; the
 * password never leaves; no server can make it compute for longer than {@linkcode SCRAM_CLIENT_ITERATIONS} take.
 *
 * Absent on purpose: -PLUS, extensions, and an authorization identity.
 *
 * @module
 */
import { pbkdf2Sync, timingSafeEqual } from "node:crypto";
import { decodeUtf8, utf8 } from "../base/bytes.ts";
import { SCRAM_CLIENT_ITERATIONS } from "../base/limits.ts";
import { fromBase64, toBase64 } from "./base64.ts";
import { preparePassword } from "./prepare.ts";
import { hmac, SCRAM_KEY_OCTETS, sha256 } from "./scram.ts";

/** RFC 7677 4: at least 4096. */
const MIN_ITERATIONS = 4096;
/** Longer nonces and salts than anybody makes. */
const MAX_FIELD_OCTETS = 512;

/** What to send to a challenge, or why the exchange can't go on. */
export type ScramAnswer =
  | { readonly kind: "response"; readonly bytes: Uint8Array }
  | { readonly kind: "failure"; readonly text: string };

export interface ScramCredentials {
  readonly user: string;
  readonly password: string;
  /** Printable ASCII without commas, from a source fit for secrets, new for each exchange. */
  readonly nonce: string;
}

// server-first-message = nonce "," salt "," iteration-count ["," extensions]   ; RFC 5802 7
const SERVER_FIRST =
  /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([1-9][0-9]{0,8})(?:,[A-Za-z]=[^,]+)*$/;
// server-final-message = ( "e=" error / "v=" base64 ) ["," extensions]
const SERVER_FINAL = /^v=([A-Za-z0-9+/=]+)(?:,[A-Za-z]=[^,]+)*$/;
/** RFC 5802 7: server-error-value. */
const SERVER_ERROR = /^e=([a-z0-9-]{1,40})(?:,|$)/;
/** Those that say that the credentials are wrong, and not that something else is. */
const WRONG_CREDENTIALS = ["invalid-proof", "unknown-user"];
/** "n": without channel binding; no authorization identity. */
const GS2_HEADER = "n,,";

export class ScramClient {
  readonly #credentials: ScramCredentials;
  readonly #bare: string;
  #expectedSignature: Uint8Array | undefined;
  #verified = false;

  /** @throws {RangeError} where the nonce can't stand in a message */
  constructor(credentials: ScramCredentials) {
    if (!/^[\x21-\x2b\x2d-\x7e]+$/.test(credentials.nonce)) {
      throw new RangeError("a SCRAM nonce must be printable ASCII without commas");
    }
    this.#credentials = credentials;
    // RFC 5802 5.1: "=" and "," can't stand in a name.
    const name = credentials.user.replaceAll("=", "=3D").replaceAll(",", "=2C");
    this.#bare = `n=${name},r=${credentials.nonce}`;
  }

  /** The client-first-message. */
  first(): Uint8Array {
    return utf8(GS2_HEADER + this.#bare);
  }

  /** Whether the server has proved that it knows the password's verifier. */
  get verified(): boolean {
    return this.#verified;
  }

  /** Takes the server's next message. It works on the password once, in this thread. */
  respond(challenge: Uint8Array): ScramAnswer {
    const text = decodeUtf8(challenge);
    if (text === undefined) return failure("the server's SCRAM message is not UTF-8");
    if (this.#verified) return failure("the server went on after SCRAM's last message");
    return this.#expectedSignature === undefined
      ? this.#proof(text)
      : this.#final(text, this.#expectedSignature);
  }

  #proof(serverFirst: string): ScramAnswer {
    const match = SERVER_FIRST.exec(serverFirst);
    const salt = match === null ? undefined : fromBase64(match[2]!);
    if (match === null || salt === undefined || serverFirst.length > 2 * MAX_FIELD_OCTETS) {
      return failure("the server's first message is not in SCRAM's form");
    }
    const [, nonce, , iterationsText] = match;
    if (!nonce!.startsWith(this.#credentials.nonce) || nonce === this.#credentials.nonce) {
      return failure("the server's SCRAM nonce does not go on from ours");
    }
    const iterations = Number(iterationsText);
    if (iterations < MIN_ITERATIONS || iterations > SCRAM_CLIENT_ITERATIONS) {
      return failure(
        `the server asks for ${iterations} iterations: ${MIN_ITERATIONS} to ${SCRAM_CLIENT_ITERATIONS} are done`,
      );
    }
    const prepared = preparePassword(this.#credentials.password);
    if (prepared === undefined) return failure("the password holds characters that SCRAM does not allow");
    const withoutProof = `c=${toBase64(utf8(GS2_HEADER))},r=${nonce}`;
    const authMessage = `${this.#bare},${serverFirst},${withoutProof}`;
    // RFC 5802 3
    const salted = pbkdf2Sync(prepared, salt, iterations, SCRAM_KEY_OCTETS, "sha256");
    const clientKey = hmac(salted, "Client Key");
    const signature = hmac(sha256(clientKey), authMessage);
    const proof = Uint8Array.from(clientKey, (octet, i) => octet ^ signature[i]!);
    this.#expectedSignature = hmac(hmac(salted, "Server Key"), authMessage);
    return { kind: "response", bytes: utf8(`${withoutProof},p=${toBase64(proof)}`) };
  }

  #final(text: string, expected: Uint8Array): ScramAnswer {
    const error = SERVER_ERROR.exec(text)?.[1];
    if (error !== undefined) {
      const why = WRONG_CREDENTIALS.includes(error) ? ": the name or the password is not the right one" : "";
      return failure(`the server refuses the log-in (${error})${why}`);
    }
    const match = SERVER_FINAL.exec(text);
    const signature = match === null ? undefined : fromBase64(match[1]!);
    if (signature?.length !== SCRAM_KEY_OCTETS || !timingSafeEqual(signature, expected)) {
      return failure("the server could not show that it knows the password: it is not who it should be");
    }
    this.#verified = true;
    return { kind: "response", bytes: new Uint8Array(0) };
  }
}

function failure(text: string): ScramAnswer {
  return { kind: "failure", text };
}
