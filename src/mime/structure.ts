/**
 * A message's MIME structure, found while its octets pass: where each part begins and ends, with its header.
 *
 * Theory of operation: octets are pushed as they come. Headers are gathered line by line. In bodies only lines that
 * begin with two hyphens are looked at (a native search finds them), and compared with the boundaries that are open, innermost
 * first (RFC 2046 5.1.1, 5.1.2). Nothing of a body is kept but the first {@linkcode OPENING_OCTETS} octets of each text.
 *
 * Guarantees: never fails, whatever comes; the same for any partition into pushes; memory is bounded by MIME_PARTS parts and
 * MIME_HEADER_OCTETS of headers, whatever the size of the message; parts don't overlap, and lie inside their parents.
 *
 * States: header of the message or of a part -> its body -> (a delimiter) header of the next part, or (a closing one) what
 * comes after it. A delimiter of an outer multipart ends all that is inside it, headers too. Beyond the limits: the rest
 * is counted and not looked at.
 *
 * Absent on purpose: messages inside messages are not opened (they are one part), and nothing is decoded.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { asBuffer, CR, LF } from "../base/bytes.ts";
import { HEADER_OCTETS, MIME_DEPTH, MIME_HEADER_OCTETS, MIME_PARTS } from "../base/limits.ts";
import { dashBoundary, DELIMITER_OCTETS, matchDelimiter } from "./boundary.ts";
import { fieldNameLength, isFolded, isMboxLine, withoutCr } from "./field_name.ts";
import { fieldValue, type HeaderField, parseHeader } from "./header.ts";
import { type ParameterisedValue, parseParameterised } from "./parameters.ts";

/** Kept of each text's body: enough to see what it begins with. */
export const OPENING_OCTETS = 512;
/** What a field costs beside its octets, so that a header of many empty fields is bounded too. */
const FIELD_COST_OCTETS = 32;
/** Of a line that may be a delimiter: what must be kept, and room for white space behind it, which may be any amount. */
const LINE_OCTETS = DELIMITER_OCTETS + 64;

const EMPTY = new Uint8Array(0);
const HYPHEN = 45;

/** One entity (RFC 2045 2.4): the message, or a part of a multipart. All offsets are octets from the message's start. */
export interface Entity {
  /** Where its header begins. */
  readonly start: number;
  /** Where its body begins: behind the empty line. */
  readonly bodyStart: number;
  /** Where its body ends: before the line end that belongs to the delimiter behind it (RFC 2046 5.1.1). */
  readonly end: number;
  readonly fields: readonly HeaderField[];
  /** Its media type with parameters, `text/plain` (in a digest `message/rfc822`) where it has none or none that is valid. */
  readonly type: ParameterisedValue;
  /** Of a multipart that could be told apart; otherwise empty. */
  readonly children: readonly Entity[];
  /** The first octets of a text's body, as they stand; empty for other types. */
  readonly opening: Uint8Array;
}

/** What is wrong with a structure. */
export interface Damage {
  /**
   * - `no-boundary`: a multipart names none, or an impossible one
   * - `no-parts`: a multipart's boundary never comes, or only to close it
   * - `unclosed`: a multipart's closing delimiter never comes
   * - `bad-header`: a part's header ends in a line that belongs to no header
   * - `encoding`: a multipart claims base64 or quoted-printable (RFC 2045 6.4 forbids it)
   * - `limit`: too many parts, too deep, or headers too large
   */
  readonly kind: "no-boundary" | "no-parts" | "unclosed" | "bad-header" | "encoding" | "limit";
  /** The entity it is about begins here. */
  readonly at: number;
  /** A sentence. */
  readonly text: string;
}

export interface Structure {
  readonly root: Entity;
  /** Octets of the message. */
  readonly octets: number;
  readonly damage: readonly Damage[];
}

/** An entity that is not over yet. */
interface Draft {
  readonly start: number;
  readonly defaultType: string;
  bodyStart: number;
  end: number;
  fields: readonly HeaderField[];
  type: ParameterisedValue;
  readonly children: Draft[];
  opening: Uint8Array;
}

/** A multipart that its next delimiter or an outer one goes on with. */
interface OpenMultipart {
  readonly entity: Draft;
  /** `--boundary`; undefined once the closing delimiter has come. */
  delimiter: Uint8Array | undefined;
}

/** A line that is a delimiter. */
interface Delimiter {
  /** Place of its multipart in the stack. */
  readonly index: number;
  readonly closes: boolean;
}

/** Finds the structure of a message that comes in pieces. */
export class MimeScanner {
  readonly #root: Draft = draft(0, "text/plain");
  readonly #damage: Damage[] = [];
  /** Multiparts, the outermost first. */
  readonly #open: OpenMultipart[] = [];
  #state: "header" | "body" | "stopped" = "header";
  /** The entity whose header comes, or whose body of no parts. */
  #current: Draft | undefined = this.#root;
  #parts = 1;
  /** Octets seen before what #feed() is given. */
  #base = 0;
  #octets = 0;
  /** The octet before it, for CR and LF in two pushes. */
  #lastOctet = 0;

  /** The header as far as it came. */
  #header: Buffer = asBuffer(new Uint8Array(4096));
  #headerLength = 0;
  /** Where its last line begins. */
  #headerLine = 0;
  #inField = false;
  #headerSpent = 0;

  /** The line that may be a delimiter, as far as it came; its length is -1 inside a line that is none. */
  readonly #line = new Uint8Array(LINE_OCTETS);
  #lineLength = -1;
  #lineStart = 0;
  /** Octets of the line end before it. */
  #lineEnding = 0;
  /** Delimiters that are looked for. */
  #wanted = 0;
  /** Up to here the current text's opening is kept. */
  #openingEnd = 0;

  /** Takes the next octets; they are not kept. */
  push(octets: Uint8Array): void {
    if (octets.length === 0) return;
    this.#feed(asBuffer(octets), this.#octets);
    this.#octets += octets.length;
  }

  /** The structure of what was pushed. Nothing can be pushed after it. */
  end(): Structure {
    if (this.#state === "header") this.#endInHeader();
    if (this.#state === "body" && this.#lineLength >= 0) {
      const found = this.#delimiterIn(this.#line.subarray(0, this.#lineLength), true);
      if (found !== "no" && found !== "more") this.#delimiter(found, this.#octets);
    }
    // A delimiter as the last line without an end: the part behind it has nothing.
    if (this.#state === "header") this.#endHeader(this.#headerLength);
    this.#closeTo(0, this.#octets);
    this.#state = "stopped";
    return { root: this.#root, octets: this.#octets, damage: this.#damage };
  }

  #feed(octets: Buffer, base: number): void {
    this.#base = base;
    let at = 0;
    while (at < octets.length && this.#state !== "stopped") {
      at = this.#state === "header" ? this.#headerOctets(octets, at) : this.#bodyOctets(octets, at);
    }
    this.#lastOctet = octets[octets.length - 1]!;
  }

  // ---------------------------------------------------------------- headers

  /** Takes one line of a header, or what there is of it; gives where to go on. */
  #headerOctets(octets: Buffer, at: number): number {
    const found = octets.indexOf(LF, at);
    const end = found < 0 ? octets.length : found + 1;
    const room = Math.min(HEADER_OCTETS, MIME_HEADER_OCTETS - this.#headerSpent) - this.#headerLength;
    if (end - at > room) {
      this.#keepHeader(octets.subarray(at, at + room));
      this.#headerTooLarge();
      return at + room;
    }
    this.#keepHeader(octets.subarray(at, end));
    if (found < 0) return end;
    const line = this.#header.subarray(this.#headerLine, this.#headerLength - 1);
    if (line.length === 0 || (line.length === 1 && line[0] === CR)) {
      this.#endHeader(this.#headerLength);
      this.#atLineStart(this.#base + end);
      return end;
    }
    const delimiter = this.#delimiterIn(line, true);
    if (delimiter !== "no" && delimiter !== "more") {
      // RFC 2046 5.1.1: a body-part may be all header.
      this.#lineStart = this.#base + end - line.length - 1;
      this.#lineEnding = 0;
      this.#endHeader(this.#headerLine);
      return this.#delimiter(delimiter, this.#base + end) - this.#base;
    } else if (this.#isHeaderLine(line)) {
      this.#headerLine = this.#headerLength;
    } else this.#badHeader();
    return end;
  }

  #isHeaderLine(line: Uint8Array): boolean {
    if (this.#inField && isFolded(line)) return true;
    if (fieldNameLength(withoutCr(line)) > 0) this.#inField = true;
    else return this.#headerLine === 0 && isMboxLine(line);
    return true;
  }

  /** The last line is no header's: the body begins with it. */
  #badHeader(): void {
    const entity = this.#current!;
    const whose = entity === this.#root ? "The message's header" : "A part's header";
    this.#report("bad-header", entity, `${whose} ends in a line that is no header field.`);
    this.#bodyFromHeader();
  }

  /** The header ends before its last line, or where that is its only one, at the limit. */
  #headerTooLarge(): void {
    const entity = this.#current!;
    this.#report("limit", entity, "A header is larger than headers are read.");
    if (this.#headerLine > 0) this.#bodyFromHeader();
    else {
      this.#endHeader(this.#headerLength);
      this.#lineLength = -1;
    }
  }

  /** Ends the header before its last line, which is looked through again as the beginning of the body. */
  #bodyFromHeader(): void {
    const rest = asBuffer(this.#header.subarray(this.#headerLine, this.#headerLength).slice());
    const start = this.#current!.start + this.#headerLine;
    this.#endHeader(this.#headerLine);
    this.#atLineStart(start);
    const base = this.#base;
    if (rest.length > 0) this.#feed(rest, start);
    this.#base = base;
  }

  #endInHeader(): void {
    const line = this.#header.subarray(this.#headerLine, this.#headerLength);
    const delimiter = this.#delimiterIn(line, true);
    if (delimiter !== "no" && delimiter !== "more") {
      this.#lineStart = this.#octets - line.length;
      this.#lineEnding = 0;
      this.#endHeader(this.#headerLine);
      this.#delimiter(delimiter, this.#octets);
    } else if (line.length === 0 || this.#isHeaderLine(line)) this.#endHeader(this.#headerLength);
    else this.#badHeader();
  }

  #keepHeader(octets: Uint8Array): void {
    const needed = this.#headerLength + octets.length;
    if (needed > this.#header.length) {
      const larger = asBuffer(new Uint8Array(Math.max(needed, 2 * this.#header.length)));
      larger.set(this.#header.subarray(0, this.#headerLength));
      this.#header = larger;
    }
    this.#header.set(octets, this.#headerLength);
    this.#headerLength = needed;
  }

  /** The header is over, its body begins behind `length` octets of what was kept. */
  #endHeader(length: number): void {
    const entity = this.#current!;
    const header = parseHeader(this.#header.subarray(0, length));
    entity.fields = header.fields;
    entity.bodyStart = entity.start + length;
    entity.type = typeOf(fieldValue(header, "content-type"), entity.defaultType);
    this.#headerSpent += this.#headerLength + FIELD_COST_OCTETS * header.fields.length;
    this.#state = "body";
    this.#openingEnd = entity.bodyStart;
    if (entity.type.value.startsWith("multipart/")) this.#openMultipart(entity);
  }

  #openMultipart(entity: Draft): void {
    const delimiter = dashBoundary(entity.fields);
    const encoding = fieldValue(entity, "content-transfer-encoding") ?? "";
    if (/^\s*(base64|quoted-printable)\b/i.test(encoding)) {
      this.#report("encoding", entity, "A multipart claims to be encoded, which none may be.");
    }
    if (delimiter === undefined) {
      this.#report("no-boundary", entity, "A multipart does not say by what its parts are told apart.");
    } else if (this.#open.length >= MIME_DEPTH) {
      this.#report("limit", entity, `Multiparts are inside each other more than ${MIME_DEPTH} deep.`);
    } else {
      this.#open.push({ entity, delimiter });
      this.#wanted++;
      this.#current = undefined;
    }
  }

  // ---------------------------------------------------------------- bodies

  /** Takes octets of a body up to the next delimiter, or all; gives where to go on. */
  #bodyOctets(octets: Buffer, begin: number): number {
    this.#keepOpening(octets);
    if (this.#wanted === 0) return octets.length;
    let at = begin;
    if (this.#lineLength < 0) {
      at = this.#nextCandidate(octets, begin);
      if (at < 0) return octets.length;
    }
    return this.#candidateOctets(octets, at);
  }

  /** Where the next line begins that may be a delimiter; -1 where there is none, or only its first octets. */
  #nextCandidate(octets: Buffer, begin: number): number {
    let at = begin;
    for (;;) {
      // For one octet both runtimes have a search of their own: it passes over base64 at more than a gigabyte a second.
      const hyphen = octets.indexOf(HYPHEN, at);
      if (hyphen < 0) break;
      if (hyphen > begin && octets[hyphen - 1] === LF && this.#mayBegin(octets, hyphen)) {
        this.#candidate(octets, hyphen - 1);
        return hyphen;
      }
      const lineFeed = octets.indexOf(LF, hyphen);
      if (lineFeed < 0) break;
      at = lineFeed + 1;
    }
    const last = octets.length - 1;
    if (octets[last] === LF) this.#candidate(octets, last);
    return -1;
  }

  /** Whether the octets from `at` on are, as far as they came, the beginning of a delimiter that is looked for. */
  #mayBegin(octets: Buffer, at: number): boolean {
    for (const { delimiter } of this.#open) {
      if (delimiter === undefined) continue;
      const length = Math.min(delimiter.length, octets.length - at);
      let same = 1;
      while (same < length && octets[at + same] === delimiter[same]) same++;
      if (same >= length) return true;
    }
    return false;
  }

  /** Begins a line behind the LF at `lineFeed`. */
  #candidate(octets: Buffer, lineFeed: number): void {
    const before = lineFeed > 0 ? octets[lineFeed - 1]! : this.#lastOctet;
    this.#lineLength = 0;
    this.#lineStart = this.#base + lineFeed + 1;
    this.#lineEnding = before === CR ? 2 : 1;
  }

  /** Begins a line where a body begins. */
  #atLineStart(start: number): void {
    if (this.#state !== "body") return;
    this.#lineLength = 0;
    this.#lineStart = start;
    this.#lineEnding = 0;
  }

  /** Goes on with a line that may be a delimiter; gives where to go on. */
  #candidateOctets(octets: Buffer, begin: number): number {
    const found = octets.indexOf(LF, begin);
    const end = found < 0 ? octets.length : found;
    let at = begin;
    do {
      const next = Math.min(end, at + LINE_OCTETS - this.#lineLength);
      this.#line.set(octets.subarray(at, next), this.#lineLength);
      this.#lineLength += next - at;
      const ended = found >= 0 && next === end;
      const delimiter = this.#delimiterIn(this.#line.subarray(0, this.#lineLength), ended);
      if (delimiter === "no") {
        this.#lineLength = -1;
        return at;
      }
      at = next;
      if (delimiter !== "more") {
        return this.#delimiter(delimiter, this.#base + end + 1) - this.#base;
      }
      // So far it is a delimiter and white space, of which any amount may follow.
      if (this.#lineLength === LINE_OCTETS) this.#lineLength = DELIMITER_OCTETS;
    } while (at < end);
    return at;
  }

  #delimiterIn(line: Uint8Array, ended: boolean): Delimiter | "no" | "more" {
    let answer: "no" | "more" = "no";
    for (let index = this.#open.length - 1; index >= 0; index--) {
      const { delimiter } = this.#open[index]!;
      if (delimiter === undefined) continue;
      const match = matchDelimiter(line, delimiter, { ended });
      if (match === "more") answer = "more";
      else if (match !== "no") return { index, closes: match === "close" };
    }
    return answer;
  }

  /** Acts on a delimiter whose line began at #lineStart; the octets behind it begin at `next`. Gives where to go on. */
  #delimiter({ index, closes }: Delimiter, next: number): number {
    this.#closeTo(index + 1, this.#lineStart - this.#lineEnding);
    const multipart = this.#open[index]!;
    this.#state = "body";
    this.#lineLength = -1;
    if (!closes) {
      this.#beginPart(multipart.entity, next);
      return next;
    }
    multipart.delimiter = undefined;
    this.#wanted--;
    // Its own line end may belong to an outer multipart's delimiter behind it.
    return next - 1;
  }

  #beginPart(multipart: Draft, start: number): void {
    if (this.#parts >= MIME_PARTS || this.#headerSpent >= MIME_HEADER_OCTETS) {
      const what = this.#parts >= MIME_PARTS
        ? `more than ${MIME_PARTS} parts`
        : "parts with larger headers than are read";
      this.#report("limit", multipart, `The message has ${what}.`);
      this.#state = "stopped";
      return;
    }
    this.#parts++;
    // RFC 2046 5.1.5: in a digest a part is a message unless it says otherwise.
    const part = draft(start, multipart.type.value === "multipart/digest" ? "message/rfc822" : "text/plain");
    multipart.children.push(part);
    this.#current = part;
    this.#state = "header";
    this.#headerLength = 0;
    this.#headerLine = 0;
    this.#inField = false;
  }

  /** Ends what is open at place `index` and deeper, with the body of no parts in it. */
  #closeTo(index: number, end: number): void {
    const stopped = this.#state === "stopped";
    if (this.#current !== undefined) closeDraft(this.#current, end);
    this.#current = undefined;
    while (this.#open.length > index) {
      const { entity, delimiter } = this.#open.pop()!;
      closeDraft(entity, end);
      if (delimiter !== undefined) this.#wanted--;
      if (stopped) continue;
      if (entity.children.length === 0) {
        this.#report("no-parts", entity, "A multipart has none of the parts that it announces.");
      } else if (delimiter !== undefined) {
        this.#report("unclosed", entity, "A multipart ends without its last delimiter.");
      }
    }
  }

  /** Keeps the first octets of a text's body. */
  #keepOpening(octets: Buffer): void {
    const entity = this.#current;
    if (entity === undefined || !entity.type.value.startsWith("text/")) return;
    const room = OPENING_OCTETS - entity.opening.length;
    const from = this.#openingEnd - this.#base;
    if (room === 0 || from >= octets.length) return;
    const more = octets.subarray(from, from + room);
    const opening = new Uint8Array(entity.opening.length + more.length);
    opening.set(entity.opening);
    opening.set(more, entity.opening.length);
    entity.opening = opening;
    this.#openingEnd += more.length;
  }

  #report(kind: Damage["kind"], entity: Draft, text: string): void {
    this.#damage.push({ kind, at: entity.start, text });
  }
}

function draft(start: number, defaultType: string): Draft {
  return {
    start,
    defaultType,
    bodyStart: start,
    end: start,
    fields: [],
    type: { value: defaultType, parameters: new Map() },
    children: [],
    opening: EMPTY,
  };
}

function closeDraft(entity: Draft, end: number): void {
  const last = entity.children.at(-1);
  entity.end = Math.max(end, entity.bodyStart, last?.end ?? 0);
  const octets = entity.end - entity.bodyStart;
  if (entity.opening.length > octets) entity.opening = entity.opening.slice(0, octets);
}

/** RFC 2045 5.2: what has no valid type has the default one. */
function typeOf(contentType: string | undefined, defaultType: string): ParameterisedValue {
  const type = parseParameterised(contentType ?? defaultType);
  return /^[^/]+\/[^/]+$/.test(type.value) ? type : { ...type, value: defaultType };
}
