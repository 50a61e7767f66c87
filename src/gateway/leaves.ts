/**
 * What a message can be broken apart into, and whether it may be.
 *
 * Guarantees: only multipart/mixed is taken apart, and what is in it mixed again. Every other multipart belongs together
 * (RFC 2046 5.1.4: alternatives; RFC 2387: a page with its pictures; …): it is a package, one leaf that is not opened, and
 * so is a message inside a message. A signature is never broken, and nothing is taken out of what is encrypted.
 *
 * @module
 */
import { latin1 } from "../base/bytes.ts";
import { dashBoundary } from "../mime/boundary.ts";
import { fileNameOf } from "../mime/file_name.ts";
import { fieldValue } from "../mime/header.ts";
import { parseParameterised } from "../mime/parameters.ts";
import type { Entity } from "../mime/structure.ts";
import { decodeTransfer } from "../mime/transfer_encoding.ts";

const EMPTY = new Uint8Array();

/** A part that becomes a message of its own. */
export interface Leaf {
  readonly entity: Entity;
  /** The boundary of the multipart/mixed it stands in: no line of the leaf is its delimiter. */
  readonly boundary: string;
  /** `shown`: a text, or a package with one. `attachment`: all else, and what was sent as an attachment. */
  readonly role: "shown" | "attachment";
}

/** A message's leaves in order: one, the message itself, where it is no multipart/mixed. */
export function leavesOf(root: Entity): Leaf[] {
  const leaves: Leaf[] = [];
  // Depth first without recursion: the message says how deep it is.
  const open = [{ entity: root, boundary: "" }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { entity } = next;
    if (entity.type.value !== "multipart/mixed") {
      leaves.push({ ...next, role: roleOf(entity) });
      continue;
    }
    const boundary = latin1(dashBoundary(entity.fields) ?? EMPTY).slice(2);
    for (const child of [...entity.children].reverse()) open.push({ entity: child, boundary });
  }
  return leaves;
}

function roleOf(entity: Entity): Leaf["role"] {
  const { value } = entity.type;
  if (dispositionOf(entity) === "attachment" || fileNameOf(entity) !== "") return "attachment";
  // RFC 1740: the two forks of one file.
  if (value === "multipart/appledouble") return "attachment";
  return value.startsWith("text/") || value.startsWith("multipart/") ? "shown" : "attachment";
}

function dispositionOf(entity: Entity): string {
  const text = fieldValue(entity, "content-disposition");
  return text === undefined ? "" : parseParameterised(text).value;
}

/** Types that say of themselves that they are signed or encrypted (RFC 1847, RFC 3156, RFC 8551). */
const PROTECTED =
  /^(multipart\/(signed|encrypted)|application\/((x-)?pkcs7-(mime|signature)|pgp-(encrypted|signature)))$/;

/** Why a message may not be broken apart, as a clause; undefined where it may. */
export function protectionOf(root: Entity): string | undefined {
  const open = [root];
  for (let entity = open.pop(); entity !== undefined; entity = open.pop()) {
    if (isProtected(entity)) return "it is signed or encrypted, and would not be so any more";
    open.push(...entity.children);
  }
  return undefined;
}

function isProtected(entity: Entity): boolean {
  const { value } = entity.type;
  if (PROTECTED.test(value)) return true;
  // RFC 8551 3.9: gateways turn S/MIME into this, and only the name still tells.
  if (value === "application/octet-stream") return /\.p7[msc]$/i.test(fileNameOf(entity));
  return value.startsWith("text/") && beginsPgp(entity);
}

const PGP = "-----BEGIN PGP";

/** RFC 9580 6.2, the armour in a text: its beginning is looked at, before and after decoding. */
function beginsPgp(entity: Entity): boolean {
  const { opening } = entity;
  if (latin1(opening).includes(PGP)) return true;
  const encoding = fieldValue(entity, "content-transfer-encoding") ?? "";
  return latin1(decodeTransfer(opening, encoding)).includes(PGP);
}
