/**
 * Preparing passwords and names before they are compared.
 *
 * Passwords follow SASLprep (RFC 4013), because SCRAM's clients do (RFC 5802 2.2): non-ASCII spaces become spaces,
 * what is "commonly mapped to nothing" goes, NFKC, and the prohibited characters of its section 2.3 are refused.
 * Absent on purpose: the check of right-to-left text (2.4) and of unassigned code points (2.5), which only refuse more.
 * Both ends of a comparison go through the same function, so that costs no security.
 *
 * Names are only checked here (not empty, no control characters, a limit); they are compared in the form of
 * `canonicalLocal` (mail/address.ts), like the mailbox names that they are.
 *
 * @module
 */
import { utf8 } from "../base/bytes.ts";
import { LOGIN_NAME_OCTETS, PASSWORD_OCTETS } from "../base/limits.ts";

/** RFC 3454 C.1.2. */
const NON_ASCII_SPACE = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g;
/** RFC 3454 B.1. */
const MAPPED_TO_NOTHING =
  /\u00ad|\u034f|\u1806|[\u180b-\u180d]|[\u200b-\u200d]|\u2060|[\ufe00-\ufe0f]|\ufeff/g;
/** RFC 3454 C.2.1, C.2.2 (controls), C.3 (private use), C.4, C.5, C.6, C.7, C.8, C.9. */
const PROHIBITED = new RegExp(
  "[\\u0000-\\u001f\\u007f-\\u009f\\u06dd\\u070f\\u180e\\u200c\\u200d\\u2028\\u2029\\u2060-\\u2063\\u206a-\\u206f" +
    "\\ufeff\\ufff9-\\uffff\\u{1d173}-\\u{1d17a}" +
    "\\p{Co}\\p{Noncharacter_Code_Point}\\p{Cs}" +
    "\\u2ff0-\\u2ffb\\u0340\\u0341\\u200e\\u200f\\u202a-\\u202e\\u{e0001}\\u{e0020}-\\u{e007f}]",
  "u",
);
const CONTROL = /[\p{Cc}\p{Cs}\u2028\u2029]/u;

/** A password prepared for hashing; undefined where it is empty, too long or holds a prohibited character. */
export function preparePassword(text: string): string | undefined {
  if (text.length > PASSWORD_OCTETS) return undefined;
  const prepared = text.replace(NON_ASCII_SPACE, " ").replace(MAPPED_TO_NOTHING, "").normalize("NFKC");
  if (prepared === "" || PROHIBITED.test(prepared) || utf8(prepared).length > PASSWORD_OCTETS) {
    return undefined;
  }
  return prepared;
}

/** Whether a text may be a log-in name at all. */
export function isLoginName(text: string): boolean {
  return text !== "" && !CONTROL.test(text) && utf8(text).length <= LOGIN_NAME_OCTETS;
}
