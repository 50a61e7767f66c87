/**
 * Commands on their way out: those that wait, those that were sent and have no reply, and the octets to write.
 *
 * Guarantees: replies are owed in the order of sending; no more commands are in flight than the window allows, and none is
 * sent behind one that must be the last of its group (RFC 2920 3.1).
 *
 * @module
 */
import { concat, utf8 } from "../../base/bytes.ts";
import { PIPELINED_COMMANDS } from "../../base/limits.ts";
import { CLIENT_VERBS, type ClientVerb, type VerbRow } from "./commands.ts";
import type { Dialogue } from "./dialogue.ts";
import type { TransactionState } from "./transaction_state.ts";

export interface Command {
  readonly verb: ClientVerb;
  /** Without CRLF; "" is an empty line. */
  readonly line: string;
  /** What the dialogue shows instead. */
  readonly shown?: string;
  /** The transaction it belongs to; absent: its reply changes nothing in any. */
  readonly of?: TransactionState;
  /** The recipient's place. */
  readonly index?: number;
}

export class Pipeline {
  readonly #dialogue: Dialogue;
  #queue: Command[] = [];
  /** The greeting is owed from the start. */
  #inFlight: Command[] = [{ verb: "greeting", line: "" }];
  #output: Uint8Array[] = [];
  /** Whether the server takes many commands at a time, or each after the reply to the one before. */
  mode: "one-by-one" | "pipelining" = "one-by-one";

  constructor(dialogue: Dialogue) {
    this.#dialogue = dialogue;
  }

  /** The row of the command whose reply is next. */
  get awaited(): VerbRow | undefined {
    const first = this.#inFlight[0];
    return first === undefined ? undefined : CLIENT_VERBS[first.verb];
  }

  /** Where content is put that goes out as it is. */
  get output(): Uint8Array[] {
    return this.#output;
  }

  /** Queues commands, and sends what may be sent. */
  ask(...commands: Command[]): void {
    this.#queue.push(...commands);
    this.advance();
  }

  /** Sends as many commands as the server takes now. */
  advance(): void {
    const window = this.mode === "pipelining" ? PIPELINED_COMMANDS : 1;
    let text = "";
    while (this.#inFlight.length < window) {
      const before = this.#inFlight.at(-1);
      if (before !== undefined && CLIENT_VERBS[before.verb].group === "last") break;
      const command = this.#queue.shift();
      if (command === undefined) break;
      text += `${command.line}\r\n`;
      this.#dialogue.said("C", command.shown ?? command.line);
      this.#inFlight.push(command);
    }
    if (text !== "") this.#output.push(utf8(text));
  }

  /** Notes that what is in the output already will be answered. */
  sent(command: Command): void {
    this.#inFlight.push(command);
  }

  /** Takes the command that a reply belongs to. */
  answered(): Command | undefined {
    return this.#inFlight.shift();
  }

  /** Takes a transaction's commands out that were not sent; gives how many there were. */
  drop(of: TransactionState): number {
    const before = this.#queue.length;
    this.#queue = this.#queue.filter((command) => command.of !== of);
    return before - this.#queue.length;
  }

  /** Forgets commands: those that wait are never sent, those that were sent are owed no reply. The output stays. */
  clear(): void {
    this.#queue = [];
    this.#inFlight = [];
  }

  /** All octets that wait to be sent; undefined where there are none. */
  takeOutput(): Uint8Array | undefined {
    const output = this.#output;
    if (output.length === 0) return undefined;
    this.#output = [];
    return output.length === 1 ? output[0] : concat(output);
  }
}
