/**
 * Octets of a named character set to text.
 *
 * Guarantees: never fails: octets that mean nothing become U+FFFD, and an unknown or missing name means UTF-8 where
 * the octets are that, otherwise Windows-1252, which is what unlabelled 8-bit mail mostly is.
 *
 * @module
 */
import { decodeUtf8 } from "../base/bytes.ts";

/** Longer names than this are nobody's (IANA's longest has 45 characters). */
const NAME_CHARACTERS = 64;
/** Names that mail uses and the WHATWG Encoding Standard doesn't know. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  cp1250: "windows-1250",
  cp1253: "windows-1253",
  cp1254: "windows-1254",
  cp1257: "windows-1257",
  "ansi_x3.4-1986": "us-ascii",
  "iso-8859-8-e": "iso-8859-8",
  cp932: "shift_jis",
  cp936: "gbk",
  cp949: "euc-kr",
  cp950: "big5",
};

/** Decodes octets; `charset` is an IANA name in any case, "" where none was given. */
export function decodeText(bytes: Uint8Array, charset: string): string {
  const decoder = decoderFor(charset);
  if (decoder !== undefined) return decoder.decode(bytes);
  return decodeUtf8(bytes) ?? new TextDecoder("windows-1252").decode(bytes);
}

/** Whether a character set's name is one that can be decoded. */
export function isKnownCharset(charset: string): boolean {
  return decoderFor(charset) !== undefined || /^us-ascii$/i.test(charset);
}

/** A new decoder of a named character set; undefined where the name is missing, unknown, or US-ASCII (see below). */
export function decoderFor(charset: string): TextDecoder | undefined {
  const asked = charset.trim().toLowerCase();
  const name = Object.hasOwn(OTHER_NAMES, asked) ? OTHER_NAMES[asked]! : asked;
  // Mail labelled US-ASCII that holds 8-bit octets isn't; it is decoded as if it were not labelled.
  if (name === "" || name === "us-ascii" || name.length > NAME_CHARACTERS) return undefined;
  try {
    return new TextDecoder(name);
  } catch {
    return undefined;
  }
}
