/**
 * Octets from a client, cut into what they are at the moment: command lines, lines of an AUTH exchange, a message after
 * DATA, a BDAT chunk that is taken or thrown away; or nobody's, during a TLS handshake and after the end.
 *
 * Guarantees: what belongs to a message or a chunk never comes out as a line; at most one unfinished line is kept beside
 * the last input; how the input is cut up never shows, but in how content is.
 *
 * @module
 */
import { AUTH_LINE_OCTETS } from "../base/limits.ts";
import { type Line, LineBuffer } from "../base/line_buffer.ts";
import type { ContentDecoder } from "./content.ts";
import type { Chunk } from "./grammar.ts";

export type Arrival =
  | NonNullable<Line>
  | { readonly kind: "content"; readonly bytes: Uint8Array }
  /** CRLF.CRLF has come. */
  | { readonly kind: "message-end" }
  /** The chunk is over. */
  | { readonly kind: "chunk-end" }
  /** A chunk was swallowed. */
  | { readonly kind: "discarded" };

const MESSAGE_END: Arrival = { kind: "message-end" };
const CHUNK_END: Arrival = { kind: "chunk-end" };
const DISCARDED: Arrival = { kind: "discarded" };

export class SmtpInput {
  readonly #commandLineOctets: number;
  #buffer = new LineBuffer();
  #mode: "commands" | "auth" | "message" | "chunk" | "discard" | "handshake" | "closed" = "commands";
  #content: ContentDecoder | undefined;
  /** Octets of the chunk that are still to come. */
  #leftOctets = 0;
  #place: Chunk["place"] = "more";

  /** `commandLineOctets` is the longest command line, CRLF included. */
  constructor(commandLineOctets: number) {
    this.#commandLineOctets = commandLineOctets;
  }

  get mode(): "commands" | "auth" | "message" | "chunk" | "discard" | "handshake" | "closed" {
    return this.#mode;
  }

  /** Octets that wait. */
  get size(): number {
    return this.#buffer.size;
  }

  push(bytes: Uint8Array): void {
    if (this.#mode !== "handshake" && this.#mode !== "closed") this.#buffer.push(bytes);
  }

  expectCommands(): void {
    this.#mode = "commands";
  }

  /** Lines of an AUTH exchange, which may be longer (RFC 4954 4). */
  expectAuth(): void {
    this.#mode = "auth";
  }

  /** A message that CRLF.CRLF ends. */
  expectMessage(content: ContentDecoder): void {
    this.#content = content;
    this.#mode = "message";
  }

  expectChunk(chunk: Chunk, content: ContentDecoder): void {
    this.#content = content;
    this.#leftOctets = chunk.octets;
    this.#place = chunk.place;
    this.#mode = "chunk";
  }

  /** Swallows as many octets. */
  discard(octets: number): void {
    this.#leftOctets = octets;
    this.#mode = "discard";
  }

  /** Forgets what waits and takes nothing until commands are expected again (RFC 3207 4.2). */
  expectHandshake(): void {
    this.#buffer = new LineBuffer();
    this.#mode = "handshake";
  }

  /** Forgets what waits and takes nothing ever again. */
  close(): void {
    this.#buffer = new LineBuffer();
    this.#mode = "closed";
  }

  /** What came next; undefined until there is more. After the end of a message or chunk commands are expected. */
  read(): Arrival | undefined {
    switch (this.#mode) {
      case "commands":
        return this.#buffer.takeLine(this.#commandLineOctets);
      case "auth":
        return this.#buffer.takeLine(AUTH_LINE_OCTETS);
      case "message":
        return this.#readMessage(this.#content!);
      case "chunk":
        return this.#readChunk(this.#content!);
      case "discard":
        this.#leftOctets -= this.#buffer.takeBytes(this.#leftOctets).length;
        return this.#leftOctets > 0 ? undefined : this.#over(DISCARDED);
      default:
        return undefined;
    }
  }

  #readMessage(content: ContentDecoder): Arrival | undefined {
    while (!content.ended) {
      if (this.#buffer.size === 0) return undefined;
      const bytes = this.#buffer.takeBytes(this.#buffer.size);
      const used = content.push(bytes);
      this.#buffer.unshift(bytes.subarray(used));
      const given = content.takeContent();
      if (given !== undefined) return { kind: "content", bytes: given };
    }
    return this.#over(MESSAGE_END);
  }

  #readChunk(content: ContentDecoder): Arrival | undefined {
    while (this.#leftOctets > 0) {
      if (this.#buffer.size === 0) return undefined;
      const bytes = this.#buffer.takeBytes(this.#leftOctets);
      this.#leftOctets -= bytes.length;
      content.push(bytes);
      const given = content.takeContent();
      if (given !== undefined) return { kind: "content", bytes: given };
    }
    if (this.#place === "last" && !content.ended) {
      content.end();
      const given = content.takeContent();
      if (given !== undefined) return { kind: "content", bytes: given };
    }
    return this.#over(CHUNK_END);
  }

  #over(arrival: Arrival): Arrival {
    this.#content = undefined;
    this.#mode = "commands";
    return arrival;
  }
}
