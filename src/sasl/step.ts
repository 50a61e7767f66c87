/**
 * What a SASL mechanism says to whoever drives it.
 *
 * @module
 */
import { utf8 } from "../base/bytes.ts";
import type { ScramVerifier } from "./scram.ts";

/** The mechanism's next wish, or its end. */
export type SaslStep =
  /** Send this, then give the answer to `respond`. */
  | { readonly kind: "challenge"; readonly bytes: Uint8Array }
  /** The end of what the mechanism can do: is this user's password this one? */
  | { readonly kind: "check-password"; readonly user: string; readonly password: string }
  /** Look the user up and give the verifier, or undefined, to `verifier`. */
  | { readonly kind: "need-scram"; readonly user: string }
  /** The user is who they say; `final` is to be sent as a last challenge, whose answer must be empty. */
  | { readonly kind: "success"; readonly user: string; readonly final?: Uint8Array }
  /**
   * `malformed`: the client broke the protocol, nothing was tried. `refused`: the credentials are wrong. `final` is to be
   * sent as a last challenge, whatever the answer to it.
   */
  | {
    readonly kind: "failure";
    readonly reason: "malformed" | "refused";
    readonly text: string;
    readonly final?: Uint8Array;
  };

/** The server's side of one exchange. After `check-password`, `success` or `failure` it is over. */
export interface ServerMechanism {
  /** Begins, with the initial response (RFC 4422 3, 4) or without one. */
  start(initial: Uint8Array | undefined): SaslStep;
  /** Takes the response to a challenge. */
  respond(response: Uint8Array): SaslStep;
  /** Takes what was found after `need-scram`. */
  verifier(found: ScramVerifier | undefined): SaslStep;
}

/** A failure by the client's breach of the protocol. */
export function malformed(text: string, final?: string): SaslStep {
  return { kind: "failure", reason: "malformed", text, final: final === undefined ? undefined : utf8(final) };
}

/** A failure by credentials. It never says which part was wrong. */
export function refused(text: string, final?: string): SaslStep {
  return { kind: "failure", reason: "refused", text, final: final === undefined ? undefined : utf8(final) };
}
