/**
 * A command that is given octets on standard input.
 *
 * Guarantees: never rejects; no shell; the command gets the environment it is given and nothing else; when this resolves,
 * the command has ended, and so have, where its time was over or the server stops, the processes it started: they are a
 * process group of their own, which is told to end, and made to {@linkcode KILL_MS} milliseconds later. Under Deno
 * groups take --allow-run without names; where programs are named there, the command alone is ended.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import type { Clock, Timer } from "../../base/clock.ts";
import { codeOf } from "./files.ts";

/** How long a command has to end by itself once it is told to, in milliseconds. */
const KILL_MS = 2000;
/** How long its output is waited for when it has ended: a process it left behind may hold it open. */
const DRAIN_MS = 1000;

export interface RunOptions {
  readonly env: Readonly<Record<string, string>>;
  readonly input: AsyncIterable<Uint8Array>;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Octets kept of what it says on standard output and standard error together. */
  readonly outputOctets: number;
}

/** How it ended. */
export type Ran =
  | { readonly kind: "exit"; readonly code: number; readonly output: Uint8Array }
  | { readonly kind: "signal"; readonly signal: string; readonly output: Uint8Array }
  | { readonly kind: "timeout" | "stopped"; readonly output: Uint8Array }
  /** The input could not be read to its end: what the command made of it must not count. */
  | { readonly kind: "no-input"; readonly reason: string; readonly output: Uint8Array }
  | { readonly kind: "not-started"; readonly reason: string };

/** Runs a command: the program, and its words. */
export type Run = (command: readonly string[], options: RunOptions) => Promise<Ran>;

export const runProcess: Run = async ([program, ...words], options) => {
  if (options.signal.aborted) return { kind: "stopped", output: new Uint8Array() };
  let child: ChildProcess;
  try {
    // A group of its own, so that what it starts can be ended with it.
    child = spawn(program!, words, { env: { ...options.env }, stdio: "pipe", detached: true });
  } catch (error) {
    return { kind: "not-started", reason: startProblem(program!, error) };
  }
  return await new Running(child, program!, options).ended();
};

class Running {
  readonly #child: ChildProcess;
  readonly #program: string;
  readonly #options: RunOptions;
  readonly #output: Uint8Array[] = [];
  #outputOctets = 0;
  /** Why it is made to end. */
  #reason: Extract<Ran, { kind: "timeout" | "stopped" | "no-input" }>["kind"] | undefined;
  #inputProblem = "";
  #timers: Timer[] = [];
  #isOver = false;
  #stopFeeding: () => void = () => {};

  constructor(child: ChildProcess, program: string, options: RunOptions) {
    this.#child = child;
    this.#program = program;
    this.#options = options;
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on("data", (octets: Uint8Array) => this.#keep(octets));
      stream.on("error", () => {});
    }
    // A command that doesn't want all of it closes its side; its exit code says whether that is well.
    child.stdin!.on("error", () => this.#stopFeeding());
  }

  async ended(): Promise<Ran> {
    const { clock, timeoutMs, signal } = this.#options;
    const stop = () => this.#end("stopped");
    signal.addEventListener("abort", stop);
    this.#timers.push(clock.after(timeoutMs, () => this.#end("timeout")));
    const end = this.#untilExit();
    const fed = this.#feed();
    const ran = await end;
    this.#isOver = true;
    this.#stopFeeding();
    await fed;
    signal.removeEventListener("abort", stop);
    for (const timer of this.#timers) timer.cancel();
    return ran;
  }

  #untilExit(): Promise<Ran> {
    return new Promise((resolve) => {
      this.#child.on("error", (error) => {
        // Anything else than a failure to start is followed by the exit.
        if (this.#child.pid !== undefined) return;
        resolve({ kind: "not-started", reason: startProblem(this.#program, error) });
      });
      let exit: { readonly code: number | null; readonly signal: string | null } | undefined;
      const settle = () => resolve(this.#ran(exit!));
      this.#child.on("exit", (code, signal) => {
        exit = { code, signal };
        this.#timers.push(this.#options.clock.after(DRAIN_MS, settle));
        // What it started has no business any more where it was made to end.
        if (this.#reason !== undefined) this.#kill("SIGKILL");
      });
      this.#child.on("close", () => {
        if (exit !== undefined) settle();
      });
    });
  }

  #ran({ code, signal }: { readonly code: number | null; readonly signal: string | null }): Ran {
    const output = Uint8Array.from(Buffer.concat(this.#output));
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) stream.destroy();
    switch (this.#reason) {
      case "timeout":
      case "stopped":
        return { kind: this.#reason, output };
      case "no-input":
        return { kind: "no-input", reason: this.#inputProblem, output };
      case undefined:
        return signal !== null
          ? { kind: "signal", signal, output }
          : { kind: "exit", code: code ?? 0, output };
    }
  }

  /** Gives it the input as fast as it takes it. */
  async #feed(): Promise<void> {
    const stdin = this.#child.stdin!;
    let isWanted = true;
    let wake = () => {};
    this.#stopFeeding = () => {
      isWanted = false;
      wake();
    };
    if (this.#isOver) return;
    stdin.on("drain", () => wake());
    try {
      for await (const part of this.#options.input) {
        if (!isWanted) break;
        const drained = new Promise<void>((resolve) => wake = resolve);
        if (!stdin.write(part) && isWanted) await drained;
      }
    } catch (error) {
      this.#inputProblem = error instanceof Error ? error.message : String(error);
      this.#end("no-input");
      // Its input must not look whole.
      return;
    }
    if (isWanted) stdin.end();
  }

  #end(reason: "timeout" | "stopped" | "no-input"): void {
    if (this.#reason !== undefined || this.#isOver) return;
    this.#reason = reason;
    // Without its input's end: what it was given is not a whole message.
    const isInputMissing = reason === "no-input";
    this.#kill(isInputMissing ? "SIGKILL" : "SIGTERM");
    this.#timers.push(this.#options.clock.after(KILL_MS, () => this.#kill("SIGKILL")));
  }

  #kill(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // No such group: it has ended, or the system has no groups.
      this.#child.kill(signal);
    }
  }

  #keep(octets: Uint8Array): void {
    const room = this.#options.outputOctets - this.#outputOctets;
    if (room <= 0) return;
    const kept = octets.subarray(0, room);
    this.#output.push(kept);
    this.#outputOctets += kept.length;
  }
}

function startProblem(program: string, error: unknown): string {
  // Deno, without the right to run it. It asks for the variable whenever a program is started.
  if (error instanceof Error && error.name === "NotCapable") {
    return `the server may not run ${program}: start it by deno run with --allow-run and with ` +
      "NODE_V8_COVERAGE added to --allow-env";
  }
  switch (codeOf(error)) {
    case "ENOENT":
      return `${program} is not there`;
    case "EACCES":
      return `the server may not run ${program}`;
    default:
      return `${program} can't be started: ${error instanceof Error ? error.message : String(error)}`;
  }
}
