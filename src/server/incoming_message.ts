/**
 * One message on its way from a socket to the store.
 *
 * Guarantees: memory held is at most one part (256 KiB, the trace fields, and what one read was too much) a connection,
 * and is counted in the shared budget until the store has it; a larger message goes to the spool part by part as it comes,
 * in smaller parts while the budget is used up; nothing of it counts until {@linkcode IncomingMessage.accept} resolves,
 * and {@linkcode IncomingMessage.discard} leaves nothing behind.
 *
 * @module
 */
import { concat, CR, LF, utf8 } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { CHUNK_OCTETS } from "../base/limits.ts";
import type { SharedCounters } from "../base/shared.ts";
import type { Envelope, Origin } from "../mail/envelope.ts";
import type { MessageKey } from "../mail/message_id.ts";
import { HeaderScanner } from "../mime/header_scanner.ts";
import { dateField, messageIdField, receivedField } from "../mime/trace.ts";
import type { Spool } from "../store/types.ts";

/** The first buffer's size where the client announced none, in octets. */
const FIRST_BUFFER_OCTETS = 8 * 1024;
/** What one read from a socket gives at most, in octets: a part with less room than this is full. */
const READ_OCTETS = 64 * 1024;
/** Parts are no smaller than this, however little memory there is: a body has 65,535 at most, and a commit for each. */
const LEAST_PART_OCTETS = 16 * 1024;

export interface IncomingMessageOptions {
  readonly key: MessageKey;
  readonly envelope: Envelope;
  readonly origin: Origin;
  /** Our name in the Received field. */
  readonly hostname: string;
  /** RFC 6409 8: a submission lacking Date or Message-ID gets them. */
  readonly missingFields: "add" | "leave";
  /** What MAIL's SIZE announced, in octets. */
  readonly announcedOctets?: number;
  /** What all messages in memory may take together, in octets. */
  readonly memoryOctets: number;
  readonly spool: Spool;
  readonly counters: SharedCounters;
  readonly clock: Clock;
}

export class IncomingMessage {
  readonly key: MessageKey;
  readonly #options: IncomingMessageOptions;
  readonly #scanner = new HeaderScanner();
  readonly #receivedAtMs: number;
  #buffer: Uint8Array;
  #length = 0;
  #storedOctets = 0;
  #stored: "nothing" | "parts" = "nothing";
  #lastOctets: [number, number] = [0, 0];
  #counted = 0;

  constructor(options: IncomingMessageOptions) {
    this.#options = options;
    this.key = options.key;
    this.#receivedAtMs = options.clock.nowMs();
    const crowded = options.counters.over(options.memoryOctets);
    const announced = crowded ? 0 : options.announcedOctets ?? FIRST_BUFFER_OCTETS;
    this.#buffer = new Uint8Array(Math.min(CHUNK_OCTETS, Math.max(1024, announced + 2)));
    this.#count(this.#buffer.length);
  }

  /** How many servers the message says it has passed (RFC 5321 6.3). */
  get receivedCount(): number {
    return this.#scanner.receivedCount;
  }

  /** Adds content; what doesn't fit any more is left to {@linkcode flush}, so call that while this answers "full". */
  add(bytes: Uint8Array): "more" | "full" {
    this.#scanner.push(bytes);
    this.#append(bytes);
    // Not before the header is whole, since what it lacks goes in front of it.
    if (!this.#scanner.done || this.#length < LEAST_PART_OCTETS) return "more";
    const crowded = this.#options.counters.over(this.#options.memoryOctets);
    return crowded || this.#length + READ_OCTETS > CHUNK_OCTETS ? "full" : "more";
  }

  /** Moves what is in memory to the spool. */
  async flush(): Promise<void> {
    if (this.#length === 0) return;
    const part = this.#takePart();
    this.#stored = "parts";
    await this.#options.spool.append(this.key, part);
    this.#release();
  }

  /** Makes the message durable; when this resolves it is on disk. Gives its size in octets. */
  async accept(): Promise<number> {
    const [beforeLast, last] = this.#lastOctets;
    // BDAT may end without a line end; a POP3 client could never be sent such a message exactly.
    if (beforeLast !== CR || last !== LF) this.#append(Uint8Array.of(CR, LF));
    this.#scanner.end();
    const lastPart = this.#takePart();
    const { envelope, origin } = this.#options;
    await this.#options.spool.accept({
      key: this.key,
      lastPart,
      size: this.#storedOctets,
      receivedAtMs: this.#receivedAtMs,
      envelope,
      origin,
      messageId: this.#messageId(),
    });
    this.#release();
    return this.#storedOctets;
  }

  /** Forgets the message. */
  async discard(): Promise<void> {
    this.#release();
    if (this.#stored === "parts") await this.#options.spool.discard(this.key);
  }

  #messageId(): string {
    if (this.#scanner.has("message-id") || this.#options.missingFields === "leave") {
      return this.#scanner.messageId;
    }
    return messageIdField(this.key, this.#options.hostname).replace(/^[^<]*<|>\s*$/g, "");
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(needed, Math.min(CHUNK_OCTETS, this.#buffer.length * 2)));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#count(larger.length - this.#buffer.length);
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = needed;
    const size = bytes.length;
    if (size >= 2) this.#lastOctets = [bytes[size - 2]!, bytes[size - 1]!];
    else if (size === 1) this.#lastOctets = [this.#lastOctets[1], bytes[0]!];
  }

  /** What is in memory as an array of its own; the first one carries the trace fields in front. */
  #takePart(): Uint8Array {
    const content = this.#buffer.subarray(0, this.#length);
    // An mbox "From " line in front would end the header right after our trace fields.
    const part = this.#storedOctets === 0
      ? concat([this.#prefix(), content.subarray(this.#scanner.mboxLineOctets)])
      : content.slice();
    this.#storedOctets += part.length;
    this.#buffer = new Uint8Array(0);
    this.#length = 0;
    return part;
  }

  #prefix(): Uint8Array {
    const { origin, hostname, envelope, clock, missingFields } = this.#options;
    // RFC 5321 4.4: the `for` clause names a recipient only where there is one, since it tells the others.
    const recipient = envelope.recipients.length === 1 ? envelope.recipients[0] : undefined;
    const received = receivedField({
      origin,
      by: hostname,
      key: this.key,
      recipient,
      atMs: this.#receivedAtMs,
    });
    const missing = missingFields === "leave" ? "" : this.#missingFields(clock.nowMs());
    return utf8(received + missing);
  }

  #missingFields(nowMs: number): string {
    const date = this.#scanner.has("date") ? "" : dateField(nowMs);
    const id = this.#scanner.has("message-id") ? "" : messageIdField(this.key, this.#options.hostname);
    return date + id;
  }

  #count(octets: number): void {
    this.#counted += octets;
    this.#options.counters.addOctets(octets);
  }

  #release(): void {
    this.#options.counters.releaseOctets(this.#counted);
    this.#counted = 0;
  }
}
