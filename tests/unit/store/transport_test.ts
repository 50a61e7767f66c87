import { assertEquals } from "@std/assert";
import { Buffer } from "node:buffer";
import type {
  AcceptOperation,
  AppendOperation,
  RecordOperation,
} from "../../../src/store/sqlite/operations.ts";
import { fromWireError, packBatch, toWireError } from "../../../src/store/sqlite/transport.ts";
import { StoreError } from "../../../src/store/types.ts";
import { delivered, deliveredApart, pieceOf } from "./fixtures.ts";

function append(key: number, part: Uint8Array): AppendOperation {
  return { op: "append", key, part };
}

Deno.test("packBatch() hands over large parts and copies small ones and views into one buffer", () => {
  const large = new Uint8Array(100_000).fill(1);
  const small = Uint8Array.of(2, 2);
  const view = new Uint8Array(100_000).fill(3).subarray(10, 50_010);
  const pooled = Buffer.from("pooled");
  const { operations, transfer } = packBatch([1, 2, 3, 4].map((key) => (
    append(key, [large, small, view, pooled][key - 1]!)
  )));
  assertEquals(transfer.length, 2);
  assertEquals(transfer[0]!.byteLength, 2 + 50_000 + 6);
  assertEquals(transfer[1], large.buffer);
  const received = structuredClone(operations, { transfer }) as AppendOperation[];
  assertEquals(received.map(({ part }) => [part.length, part[0]]), [
    [100_000, 1],
    [2, 2],
    [50_000, 3],
    [6, "p".charCodeAt(0)],
  ]);
  assertEquals([large.length, small.length, view.length], [0, 2, 50_000]);
});

Deno.test("packBatch() keeps everything else of an operation, and the caller's objects as they were", () => {
  const outcome = delivered(7, [1, 2]);
  const record: RecordOperation = {
    op: "record",
    outcomes: [outcome],
    attempts: [],
    pieces: [],
    reports: [],
    destinations: [],
  };
  const accept: AcceptOperation = {
    op: "accept",
    key: 1,
    part: new Uint8Array(0),
    size: 0,
    receivedAtMs: 1,
    reversePath: "",
    recipients: ["a@x.org"],
    smtpUtf8: true,
    messageId: "m",
    origin: "{}",
  };
  const before = structuredClone([record, accept]);
  const { operations, transfer } = packBatch([record, accept, { op: "discard", key: 3 }]);
  assertEquals(structuredClone(operations, { transfer }), [...before, { op: "discard", key: 3 }]);
  assertEquals([record, accept], before);
  assertEquals(packBatch([{ op: "discard", key: 3 }]).transfer, []);
});

Deno.test("packBatch() takes pieces and what maildrops get of them along", () => {
  const large = new Uint8Array(100_000).fill(1);
  const record = (): RecordOperation => ({
    op: "record",
    outcomes: [deliveredApart(7, [1, 2], { pieces: [8, 9] }), delivered(7, [3], { index: 1 })],
    attempts: [],
    pieces: [pieceOf(7, 8, { own: "a header" }), pieceOf(7, 9, { own: large.slice() })],
    reports: [],
    destinations: [],
  });
  const { operations, transfer } = packBatch([record()]);
  assertEquals(transfer.map(({ byteLength }) => byteLength), [
    8 + 5 * "Return-Path: <7>\r\n".length,
    100_000,
  ]);
  assertEquals(structuredClone(operations, { transfer }), [record()]);
});

Deno.test("toWireError() and fromWireError() keep a store error's kind", () => {
  const error = fromWireError(structuredClone(toWireError(new StoreError("full", "no room"))));
  assertEquals([error instanceof StoreError, (error as StoreError).kind, error.message], [
    true,
    "full",
    "no room",
  ]);
  assertEquals(fromWireError(toWireError(new TypeError("odd"))) instanceof StoreError, false);
});
