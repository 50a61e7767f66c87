/**
 * A data directory of its own, and command lines run against it inside this process.
 *
 * @module
 */
import { run } from "../../../src/cli/main.ts";
import type { Io } from "../../../src/cli/io.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** How the terminal is. */
export type Look = Partial<Pick<Io, "outIsTerminal" | "width" | "colour">>;

/** Runs a command line and gives what it printed. */
export async function emsmail(argv: readonly string[], look: Look = {}): Promise<Ran> {
  const decoder = new TextDecoder();
  let out = "";
  let err = "";
  const io: Io = {
    out: (data) => Promise.resolve(void (out += typeof data === "string" ? data : decoder.decode(data))),
    err: (text) => Promise.resolve(void (err += text)),
    outIsTerminal: false,
    width: undefined,
    colour: false,
    colourErr: false,
    ...look,
  };
  const code = await run(argv, io);
  return { code, out, err };
}

/** A folder that goes when the test is over, with a configuration that makes passwords cheap. */
export class Folder implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<Folder> {
    const folder = new Folder(await Deno.makeTempDir({ prefix: "emsmail-cli-" }));
    await Deno.writeTextFile(
      folder.config,
      `domains: [example.org]\ndata: ${folder.data}\nauth: { scryptCost: 10, scramIterations: 4096 }\n`,
    );
    return folder;
  }

  get data(): string {
    return `${this.path}/data`;
  }

  get config(): string {
    return `${this.path}/emsmail.yaml`;
  }

  /** Runs a command against this folder; its words may come as one text. */
  run(words: string | readonly string[], look: Look = {}): Promise<Ran> {
    const argv = typeof words === "string" ? words.split(" ") : words;
    return emsmail([...argv, "--config", this.config], look);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

export const mainModule = new URL("../../../main.ts", import.meta.url).pathname;

/** Runs a program and gives what it printed. */
export async function spawn(
  command: string,
  args: readonly string[],
  options: { readonly stdin?: string; readonly cwd?: string; readonly env?: Record<string, string> } = {},
): Promise<Ran> {
  const child = new Deno.Command(command, {
    args: [...args],
    cwd: options.cwd,
    env: { NO_COLOR: "1", ...options.env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  // The program may end without reading.
  await writer.write(new TextEncoder().encode(options.stdin ?? "")).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const text = (octets: Uint8Array) => new TextDecoder().decode(octets);
  return { code, out: text(stdout), err: text(stderr) };
}
