/**
 * Bodies in memory: octets under a key, and bodies made of stretches of others.
 *
 * Guarantees: a body goes when nobody holds it, and with it its hold on others. Reading gives the same parts as SQLite does.
 *
 * @module
 */
import { concat } from "../base/bytes.ts";
import { CHUNK_OCTETS } from "../base/limits.ts";
import { formatMessageKey, type MessageKey } from "../mail/message_id.ts";
import { OWN, type RawSegment, rawSegments, sourcesOf } from "./segments.ts";
import { type Segment, StoreError } from "./types.ts";

/** A body that is about to be whole. */
export interface Finished {
  readonly key: MessageKey;
  readonly lastPart: Uint8Array;
  /** Octets of the body. */
  readonly size: number;
  readonly segments?: readonly Segment[] | undefined;
}

/** A body as it is kept. */
interface Body {
  /** The octets that are its own. */
  readonly parts: readonly Uint8Array[];
  /** Absent: its own octets from end to end. */
  readonly segments?: readonly RawSegment[];
}

export class MemoryBodies {
  /** Whether a queue, a maildrop or a report holds it. */
  readonly #isHeld: (key: MessageKey) => boolean;
  readonly #bodies = new Map<MessageKey, Body>();
  /** Those made of stretches: few, and asked for each time one is let go. */
  readonly #composed = new Map<MessageKey, readonly RawSegment[]>();
  readonly #arriving = new Map<MessageKey, Uint8Array[]>();

  constructor(isHeld: (key: MessageKey) => boolean) {
    this.#isHeld = isHeld;
  }

  /** Whether there is a body, and a whole one. */
  has(key: MessageKey): boolean {
    return this.#bodies.has(key);
  }

  append(key: MessageKey, part: Uint8Array): void {
    if (part.length === 0) return;
    const parts = this.#arriving.get(key);
    if (parts === undefined) this.#arriving.set(key, [part.slice()]);
    else parts.push(part.slice());
  }

  /** Forgets the parts of a body that isn't whole yet. */
  discard(key: MessageKey): void {
    this.#arriving.delete(key);
  }

  /** The body that what has come makes, which is not kept yet. @throws {StoreError} `conflict` where it makes none */
  make({ key, lastPart, size, segments }: Finished): Body {
    const parts = [...this.#arriving.get(key) ?? [], ...lastPart.length === 0 ? [] : [lastPart.slice()]];
    const octets = octetsOf(parts);
    if (segments !== undefined) {
      const materials = { ownOctets: octets, bodyOf: (source: MessageKey) => this.#sourceOf(source) };
      return { parts, segments: rawSegments({ key, segments, size }, materials) };
    }
    if (octets !== size) {
      const name = formatMessageKey(key);
      throw new StoreError("conflict", `the parts of message ${name} hold ${octets} octets and not ${size}`);
    }
    return { parts };
  }

  /** Keeps what {@linkcode MemoryBodies.make} made. */
  keep(key: MessageKey, body: Body): void {
    this.#arriving.delete(key);
    this.#bodies.set(key, body);
    if (body.segments !== undefined) this.#composed.set(key, body.segments);
  }

  part(key: MessageKey, index: number): Uint8Array | undefined {
    const body = this.#bodies.get(key);
    const segments = body?.segments;
    if (segments === undefined) return (body?.parts ?? this.#arriving.get(key))?.[index]?.slice();
    const octets = concat(
      segments.map(([source, offset, length]) =>
        this.#raw(source === OWN ? key : source).subarray(offset, offset + length)
      ),
    );
    const part = octets.slice(index * CHUNK_OCTETS, (index + 1) * CHUNK_OCTETS);
    return index < 0 || part.length === 0 ? undefined : part;
  }

  /** Whether anybody holds it: a queue, a maildrop, a report, or a body made of it. */
  isNeeded(key: MessageKey): boolean {
    return this.#isHeld(key) ||
      [...this.#composed.values()].some((segments) => sourcesOf(segments).includes(key));
  }

  /** Somebody let go of it: it goes if it isn't needed, and what it is made of likewise. */
  release(key: MessageKey): void {
    const body = this.#bodies.get(key);
    if (body === undefined || this.isNeeded(key)) return;
    this.#bodies.delete(key);
    this.#composed.delete(key);
    for (const source of sourcesOf(body.segments ?? [])) this.release(source);
  }

  #sourceOf(
    key: MessageKey,
  ): { readonly size: number; readonly segments?: readonly RawSegment[] } | undefined {
    const body = this.#bodies.get(key);
    if (body === undefined) return undefined;
    const { parts, segments } = body;
    if (segments === undefined) return { size: octetsOf(parts) };
    return { size: segments.reduce((sum, [, , length]) => sum + length, 0), segments };
  }

  #raw(key: MessageKey): Uint8Array {
    return concat(this.#bodies.get(key)!.parts);
  }
}

function octetsOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}
