/**
 * A note, from a file, standard input, the command line or an editor.
 *
 * Guarantees: no more than a note may have is read; what somebody wrote in an editor is not lost where it can't be sent.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { AdminError } from "../admin/error.ts";
import type { NoteSource } from "../admin/notes.ts";
import { concat, decodeUtf8 } from "../base/bytes.ts";
import { NOTE_OCTETS } from "../base/limits.ts";
import { readOctets } from "./files.ts";
import type { Io } from "./io.ts";
import type { Options } from "./program.ts";
import { canAsk } from "./prompt.ts";

/** The note of `--note FILE`, or of standard input. @throws {AdminError} where it is too long or no UTF-8 */
export async function readNote(io: Io, options: Options): Promise<NoteSource> {
  const file = typeof options.note === "string" && options.note !== "-" ? options.note : undefined;
  if (file !== undefined) return { file, text: await readText(file, file) };
  if (canAsk()) await io.err("Write the note, and end it with Ctrl-D at the beginning of a line.\n");
  return { file: "standard input", text: await readText("-", "standard input") };
}

async function readText(file: string, name: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let octets = 0;
  for await (const part of readOctets(file)) {
    octets += part.length;
    if (octets > NOTE_OCTETS) break;
    parts.push(part);
  }
  if (octets > NOTE_OCTETS) {
    throw new AdminError(`${name} has more than ${NOTE_OCTETS} octets`, "attach what is long with --attach");
  }
  const text = decodeUtf8(concat(parts));
  if (text === undefined) {
    throw new AdminError(`${name} is not UTF-8`, "attach it with --attach if it is no text");
  }
  return text;
}

const COMMAND = /^\/(?:to|cc|bcc|subject|report|priority|ack)$/i;

/** Words of the command line as a note: `bob /CC alice` is `/TO bob` and `/CC alice`. */
export function noteOfWords(words: readonly string[]): NoteSource {
  const lines: string[][] = [];
  for (const word of words) {
    const text = word.replace(/[\r\n]+/g, " ");
    if (COMMAND.test(text)) lines.push([text]);
    else if (lines.length === 0) lines.push(["/TO", text]);
    else lines.at(-1)!.push(text);
  }
  return { file: "the command line", text: `${lines.map((line) => line.join(" ")).join("\n")}\n` };
}

/**
 * Opens an editor on a note, and gives what was made of it to `use`. Where that fails, the note is kept.
 * @throws {AdminError} where the note was left as it was, or the editor failed
 */
export async function editNote<T>(text: string, use: (note: NoteSource) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "emsmail-"));
  const path = join(folder, "note.txt");
  await writeFile(path, text, { mode: 0o600 });
  try {
    await runEditor(path);
    const edited = await readText(path, path);
    if (edited === text) throw new AdminError("nothing was sent: the note was left as it was");
    const result = await use({ file: path, text: edited });
    await rm(folder, { recursive: true });
    return result;
  } catch (error) {
    const isUnchanged = await readFile(path, "utf8").then((now) => now === text, () => true);
    if (isUnchanged) await rm(folder, { recursive: true, force: true });
    else if (error instanceof AdminError) {
      const kept = `the note is kept in ${path}`;
      throw new AdminError(
        error.message,
        error.advice === "" ? kept : `${error.advice}; ${kept}`,
        error.failure,
      );
    }
    throw error;
  }
}

function runEditor(path: string): Promise<void> {
  const editor = process.env.VISUAL || process.env.EDITOR || "vi";
  // Without a shell: the words of $EDITOR are a program and its options.
  const [program, ...args] = editor.trim().split(/\s+/);
  return new Promise((resolve, reject) => {
    const child = spawn(program!, [...args, path], { stdio: "inherit" });
    child.on("error", (error) => {
      reject(
        new AdminError(
          `can't start the editor ${program}: ${error.message}`,
          "name one in $VISUAL or $EDITOR",
        ),
      );
    });
    child.on("exit", (code) => {
      if (code === 0) resolve();
      else reject(new AdminError(`nothing was sent: the editor ${program} ended with ${code ?? "a signal"}`));
    });
  });
}
