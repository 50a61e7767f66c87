/**
 * Names of attachments: found in a part's header, and made fit to be shown and to name a file on any system.
 *
 * Guarantees: pure; what {@linkcode cleanFileName} gives names a file in the folder it is put into and nothing else: no
 * separator, no device, no control character, nothing that turns the order of letters about; 255 octets of UTF-8 at most,
 * with the suffix kept. Cleaning a clean name changes nothing.
 *
 * Absent on purpose: names for attachments that have none, since a number is the caller's to give; and the suffix that a
 * media type would call for.
 *
 * @module
 */
import { utf8 } from "../base/bytes.ts";
import { printableLine } from "../base/printable.ts";
import { fieldValue } from "./header.ts";
import { parseParameterised } from "./parameters.ts";
import type { Entity } from "./structure.ts";

/** File systems take names of 255 octets. */
const NAME_OCTETS = 255;
/** What is longer behind the last dot is no suffix, in characters. */
const SUFFIX_CHARACTERS = 16;
/** Nobody writes more, and what is longer is not looked through. */
const READ_CHARACTERS = 4096;

/** Names that Windows takes for devices, whatever their suffix. */
const DEVICE = /^(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(?:\.|$)/i;

/** Left out, rather than made a blank: between letters they hide something. Escape, bell and white space are printableLine()'s. */
// deno-lint-ignore no-control-regex -- control characters are what is taken out
const HIDDEN = /[\u0000-\u0006\u0008\u000e-\u001a\u001c-\u001f\u007f]/g;

/**
 * The clean name of a part: Content-Disposition's `filename` (RFC 2183 2.3), otherwise Content-Type's `name`. A message
 * without a name is `message.eml`; anything else without one is "".
 */
export function fileNameOf(entity: Pick<Entity, "fields" | "type">): string {
  const disposition = parseParameterised(fieldValue(entity, "content-disposition") ?? "");
  const name = cleanFileName(disposition.parameters.get("filename") ?? "") ||
    cleanFileName(entity.type.parameters.get("name") ?? "");
  if (name !== "") return name;
  return /^message\/(?:rfc822|global)$/.test(entity.type.value) ? "message.eml" : "";
}

/** A name without folders of any system, that any of them takes for a file; "" where nothing of it is left. */
export function cleanFileName(name: string): string {
  const shown = printableLine(name.slice(0, READ_CHARACTERS).toWellFormed().replace(HIDDEN, ""));
  // What stands before the last separator is folders, and what ends in one is a folder itself.
  const whole = shown.replace(/[/\\\s]+$/, "");
  const last = whole.slice(Math.max(whole.lastIndexOf("/"), whole.lastIndexOf("\\")) + 1);
  const file = trimmed(last.replace(/[<>:"|?*]/g, "_").replace(/\s+/g, " "));
  const safe = DEVICE.test(file) ? `_${file}` : file;
  return shortened(safe, NAME_OCTETS);
}

/** A name of so many octets of UTF-8 at most: its suffix stays, and what is before it is cut. */
export function shortened(name: string, octets: number): string {
  if (utf8(name).length <= octets) return name;
  const dot = name.lastIndexOf(".");
  const isSuffix = dot > 0 && name.length - dot <= SUFFIX_CHARACTERS && utf8(name.slice(dot)).length < octets;
  const suffix = isSuffix ? name.slice(dot) : "";
  let room = octets - utf8(suffix).length;
  let stem = "";
  for (const character of name) {
    room -= utf8(character).length;
    if (room < 0) break;
    stem += character;
  }
  return trimmed(stem + suffix);
}

/** Without blanks around it, and without dots behind it, which Windows takes off. */
function trimmed(name: string): string {
  return name.replace(/^\s+|[\s.]+$/g, "");
}
