/**
 * Puts a multipart/report together (RFC 6522).
 *
 * Guarantees: the boundary occurs in no part; parts are joined octet by octet as they were given.
 *
 * @module
 */
import { asBuffer, concat, fromLatin1, isAscii, latin1, LF, utf8 } from "../../base/bytes.ts";
import { formatMessageKey, type MessageKey } from "../../mail/message_id.ts";
import { encodeQuotedPrintable } from "./encode.ts";

/** RFC 5322 2.1.1: characters in a line, without CRLF. */
const LINE_OCTETS = 998;

/** A part: its fields, each with CRLF, and its body as it travels. */
export interface Part {
  readonly fields: readonly string[];
  readonly body: Uint8Array;
}

/** A part of text: as it is where any mail system would carry it, otherwise quoted-printable. Its lines end with CRLF or LF. */
export function textPart(type: string, octets: Uint8Array): Part {
  const lines = withCrlf(octets);
  // RFC 2045 2.7: without an encoding, NUL is not allowed.
  if (isAscii(lines) && !lines.includes(0) && !isWide(lines)) {
    return { fields: [`Content-Type: ${type}\r\n`], body: lines };
  }
  return {
    fields: [`Content-Type: ${type}\r\n`, "Content-Transfer-Encoding: quoted-printable\r\n"],
    body: utf8(encodeQuotedPrintable(octets)),
  };
}

/** Joins parts to a message under `head` (whole fields, without those of MIME). */
export function multipartReport(
  parts: readonly Part[],
  options: { readonly head: string; readonly reportType: string; readonly key: MessageKey },
): Uint8Array {
  const boundary = boundaryFor(parts, options.key);
  const head = utf8(
    `${options.head}MIME-Version: 1.0\r\n` +
      `Content-Type: multipart/report; report-type=${options.reportType};\r\n boundary="${boundary}"\r\n\r\n`,
  );
  const pieces = parts.flatMap(({ fields, body }) => [
    utf8(`--${boundary}\r\n${fields.join("")}\r\n`),
    body,
    // RFC 2046 5.1.1: this CRLF belongs to the delimiter, not to the part.
    utf8("\r\n"),
  ]);
  return concat([head, ...pieces, utf8(`--${boundary}--\r\n`)]);
}

function boundaryFor(parts: readonly Part[], key: MessageKey): string {
  for (let number = 0;; number++) {
    // No quoted-printable and no base64 holds "=_" (RFC 2045 6.7).
    const boundary = `=_${formatMessageKey(key)}_${number}`;
    if (!parts.some(({ body }) => asBuffer(body).includes(boundary, 0, "latin1"))) return boundary;
  }
}

/** Each line end made CRLF. */
function withCrlf(octets: Uint8Array): Uint8Array {
  return fromLatin1(latin1(octets).replace(/\r\n?|\n/g, "\r\n"));
}

function isWide(octets: Uint8Array): boolean {
  const view = asBuffer(octets);
  for (let at = 0; at < view.length;) {
    const found = view.indexOf(LF, at);
    const end = found < 0 ? view.length : found;
    if (end - at > LINE_OCTETS + 1) return true;
    at = end + 1;
  }
  return false;
}
