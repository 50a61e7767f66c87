/**
 * Questions on the terminal, and secrets from standard input.
 *
 * Guarantees: a password is never echoed and never taken from an argument; the terminal is put back as it was
 * whatever happens; Ctrl-C and Ctrl-D give up. Without a terminal nothing is asked.
 *
 * @module
 */
import process from "node:process";
import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
// @ts-types="../base/std_streams.d.ts"
import { ByteSliceStream, DelimiterStream } from "@std/streams";
import { AdminError, usageError } from "../admin/error.ts";
import { decodeUtf8, LF } from "../base/bytes.ts";

/** More than any password; what is longer is not one. */
const LINE_MAX_OCTETS = 4096;

/** Whether there is a person to ask. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true;
}

/** Asks on the terminal for a password, twice, without showing it. @throws {AdminError} where they differ or nobody is there */
export async function askNewPassword(name: string): Promise<string> {
  if (!canAsk()) {
    throw usageError(
      "no password was given and there is no terminal to ask on",
      "give it on standard input with --password-stdin, or let one be made with --generate",
    );
  }
  const first = await readKeys(`Password for ${name}: `, "hidden");
  const second = await readKeys("The same again: ", "hidden");
  if (first !== second) throw new AdminError("the two passwords differ", "try again");
  return first;
}

/** Asks a question that only `y` or `yes` answers with true. */
export async function confirm(question: string): Promise<boolean> {
  const answer = await readKeys(`${question} [y/N] `, "shown");
  return /^y(es)?$/i.test(answer.trim());
}

/**
 * The password on the first line of standard input, without the line's end; typed unseen where that is a terminal.
 * @throws {AdminError} where it is empty, too long or not UTF-8
 */
export async function readPasswordFromStdin(): Promise<string> {
  const line = canAsk() ? await readKeys("Password: ", "hidden") : await readFirstLine();
  if (line === "") throw new AdminError("standard input held no password", "put it on the first line");
  return line;
}

async function readFirstLine(): Promise<string> {
  const { value: line = new Uint8Array() } = await stdinOctets()
    // One octet more than a line may have, so that a longer one shows and an endless one ends.
    .pipeThrough(new ByteSliceStream(0, LINE_MAX_OCTETS))
    .pipeThrough(new DelimiterStream(Uint8Array.of(LF)))
    .getReader().read();
  if (line.length > LINE_MAX_OCTETS) throw new AdminError("the password on standard input is too long");
  const text = decodeUtf8(line);
  if (text === undefined) {
    throw new AdminError("the password on standard input is not UTF-8", "send it as UTF-8");
  }
  return text.replace(/\r$/, "");
}

function stdinOctets(): ReadableStream<Uint8Array<ArrayBuffer>> {
  // Node's own types for Web streams are not those of the Web.
  return Readable.toWeb(process.stdin) as NodeReadableStream as ReadableStream<Uint8Array<ArrayBuffer>>;
}

/** What was typed or pasted beyond the line last read. */
let typedAhead = "";

/** Reads a line key by key. Hidden: the terminal is in raw mode and nothing is echoed. */
function readKeys(question: string, echo: "hidden" | "shown"): Promise<string> {
  const { stdin, stderr } = process;
  const hidden = echo === "hidden";
  if (hidden) stdin.setRawMode(true);
  stderr.write(question);
  const decoder = new TextDecoder();
  return new Promise((resolve, reject) => {
    const line = lineEditor();
    const finish = (settle: () => void): void => {
      stdin.removeListener("data", onData);
      stdin.removeListener("end", onEnd);
      if (hidden) {
        stdin.setRawMode(false);
        stderr.write("\n");
      }
      stdin.pause();
      settle();
    };
    const take = (keys: string): void => {
      const taken = line(keys);
      if (taken === undefined) return;
      typedAhead = taken.rest;
      if (taken.text === undefined) finish(() => reject(new AdminError("given up", "nothing was changed")));
      else finish(() => resolve(taken.text!));
    };
    const onData = (chunk: Uint8Array | string): void =>
      take(typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true }));
    const onEnd = (): void => take(CTRL_D);
    stdin.on("data", onData);
    stdin.once("end", onEnd);
    stdin.resume();
    const ahead = typedAhead;
    typedAhead = "";
    if (ahead !== "") take(ahead);
  });
}

const CTRL_C = "\u0003";
const CTRL_D = "\u0004";
const CTRL_U = "\u0015";
const BACKSPACES = "\u007f\b";

/** Takes keys until a line is whole: its text, or undefined for giving up, and the keys after it. */
function lineEditor(): (keys: string) => { text: string | undefined; rest: string } | undefined {
  let typed: string[] = [];
  return (keys) => {
    const characters = [...keys];
    for (const [i, key] of characters.entries()) {
      const rest = characters.slice(i + 1).join("").replace(key === "\r" ? /^\n/ : "", "");
      if (key === "\r" || key === "\n") return { text: typed.join(""), rest };
      if (key === CTRL_C || key === CTRL_D) return { text: undefined, rest: "" };
      if (BACKSPACES.includes(key)) typed.pop();
      else if (key === CTRL_U) typed = [];
      else if (typed.length < LINE_MAX_OCTETS) typed.push(key);
    }
    return undefined;
  };
}
