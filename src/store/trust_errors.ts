/**
 * What both stores say of signing keys that are there, or are not.
 *
 * @module
 */
import { type SigningKey, StoreError } from "./types.ts";

/** A key of that name is there already. */
export function keyExistsError({ domain, selector }: SigningKey): StoreError {
  return new StoreError(
    "exists",
    `${domain} has a key with the selector '${selector}' already: choose another selector`,
  );
}

/** There is no key of that name. */
export function keyMissingError(domain: string, selector: string): StoreError {
  return new StoreError("missing", `${domain} has no key with the selector '${selector}'`);
}
