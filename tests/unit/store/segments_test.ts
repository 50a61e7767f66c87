import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { SEGMENTS } from "../../../src/base/limits.ts";
import { OWN, placeOf, type RawSegment, rawSegments, sourcesOf } from "../../../src/store/segments.ts";
import { type Segment, StoreError } from "../../../src/store/types.ts";

const KEY = 99;
/** Bodies by key, each made of those before it: [key raw, offset raw] of each octet. */
type Octets = readonly (readonly [key: number, offset: number])[];

const own = (key: number, length: number): Octets =>
  Array.from({ length }, (_, offset) => [key, offset] as const);

const octetsOf = (raw: readonly RawSegment[], key: number): Octets =>
  raw.flatMap(([source, offset, length]) =>
    Array.from({ length }, (_, i) => [source === OWN ? key : source, offset + i] as const)
  );

/** A stretch of one of the sources, or (-1) of the own octets, in thousandths of what there is. */
const stretch = fc.record({
  which: fc.integer({ min: -1, max: 7 }),
  from: fc.nat(1000),
  share: fc.nat(1000),
});

Deno.test("rawSegments() gives the octets that were asked for, however deep sources lie", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ own: fc.nat(40), stretches: fc.array(stretch, { maxLength: 6 }) }), {
        maxLength: 8,
      }),
      (messages) => {
        const expected = new Map<number, Octets>();
        const kept = new Map<number, RawSegment[] | undefined>();
        messages.forEach((message, place) => {
          const key = place + 1;
          const segments = message.stretches.map(({ which, from, share }): Segment => {
            const source = which < 0 || place === 0 ? undefined : 1 + which % place;
            const size = source === undefined ? message.own : expected.get(source)!.length;
            const offset = Math.floor(size * from / 1000);
            const length = Math.floor((size - offset) * share / 1000);
            return source === undefined ? { offset, length } : { source, offset, length };
          });
          if (segments.length === 0) {
            expected.set(key, own(key, message.own));
            kept.set(key, undefined);
            return;
          }
          const octets = segments.flatMap(({ source, offset, length }) =>
            (source === undefined ? own(key, message.own) : expected.get(source)!).slice(
              offset,
              offset + length,
            )
          );
          const raw = rawSegments({ key, segments, size: octets.length }, {
            ownOctets: message.own,
            bodyOf: (source) => {
              const of = kept.get(source);
              return { size: expected.get(source)!.length, ...(of === undefined ? {} : { segments: of }) };
            },
          });
          assertEquals(octetsOf(raw, key), octets);
          assertEquals(raw.filter(([, , length]) => length <= 0), []);
          const joined = raw.slice(1).filter(([source, offset], i) => (
            source === raw[i]![0] && offset === raw[i]![1] + raw[i]![2]
          ));
          assertEquals(joined, [], "neighbours that are one");
          assertEquals(sourcesOf(raw).includes(key), false);
          expected.set(key, octets);
          kept.set(key, raw);
        });
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("rawSegments() refuses more stretches than SEGMENTS, also those a source brings", () => {
  const many = Array.from({ length: SEGMENTS }, (_, i): RawSegment => [1 + i % 2, i, 1]);
  const make = (segments: readonly Segment[]) =>
    rawSegments({ key: KEY, segments, size: segments.reduce((sum, { length }) => sum + length, 0) }, {
      ownOctets: 10,
      bodyOf: () => ({ size: SEGMENTS, segments: many }),
    });
  const all = { source: 5, offset: 0, length: SEGMENTS };
  assertEquals(make([all]).length, SEGMENTS);
  assertThrows(() => make([all, { offset: 0, length: 1 }]), StoreError, `more than ${SEGMENTS}`);
  assertThrows(() => make(Array(SEGMENTS + 1).fill({ offset: 0, length: 0 })), StoreError, "more than");
});

Deno.test("placeOf() finds the stretch an offset is in", () => {
  const starts = [0, 3, 4, 10];
  const places = Array.from({ length: 12 }, (_, offset) => placeOf(starts, offset));
  assertEquals(places, [0, 0, 0, 1, 2, 2, 2, 2, 2, 2, 3, 3]);
  assertEquals(placeOf([0], 5), 0);
});
