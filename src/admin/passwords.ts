/**
 * Passwords for accounts: made, and turned into what the store keeps.
 *
 * @module
 */
import { PASSWORD_OCTETS } from "../base/limits.ts";
import type { Random } from "../base/random.ts";
import { DEFAULT_SCRYPT_COST, hashPassword } from "../sasl/password.ts";
import { preparePassword } from "../sasl/prepare.ts";
import { makeScramVerifier } from "../sasl/scram.ts";
import type { AccountChanges } from "../store/types.ts";
import type { AdminContext } from "./context.ts";
import { AdminError } from "./error.ts";

/** Thirty-two characters that nobody takes for one another when reading them out. */
const READABLE = "abcdefghjkmnpqrstuvwxyz023456789";
const GROUPS = 4;
const GROUP_CHARACTERS = 5;

/** A password of 100 random bits in four groups: `k3vqe-8m2ht-...`. */
export function makePassword(random: Random): string {
  const octets = random.bytes(GROUPS * GROUP_CHARACTERS);
  const characters = Array.from(octets, (octet) => READABLE[octet % READABLE.length]!).join("");
  return characters.match(new RegExp(`.{${GROUP_CHARACTERS}}`, "g"))!.join("-");
}

/**
 * What the store keeps of a password: its hash, and a SCRAM verifier only where clients may use SCRAM.
 * @throws {AdminError} where it can't be a password
 */
export async function keepPassword(
  password: string,
  { config, random }: AdminContext,
): Promise<Required<Pick<AccountChanges, "passwordHash" | "scramVerifier">>> {
  if (password === "") throw new AdminError("the password is empty", "an account needs one");
  if (preparePassword(password) === undefined) {
    throw new AdminError(
      "this can't be a password",
      `it may have up to ${PASSWORD_OCTETS} octets and no control characters`,
    );
  }
  const offersScram = config.auth.mechanisms.includes("SCRAM-SHA-256");
  const [passwordHash, scramVerifier] = await Promise.all([
    hashPassword(password, { random, cost: { ...DEFAULT_SCRYPT_COST, ln: config.auth.scryptCost } }),
    offersScram ? makeScramVerifier(password, { random, iterations: config.auth.scramIterations }) : "",
  ]);
  return { passwordHash, scramVerifier };
}
