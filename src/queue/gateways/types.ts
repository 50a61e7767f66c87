/**
 * What the gateways other than SMTP are to the queue, and what they need of the world.
 *
 * @module
 */
import type { EnhancedCode } from "../../mail/reply.ts";
import type { QueuedMessage } from "../../store/types.ts";
import type { OutgoingContent } from "../smtp_courier.ts";

/** A gateway that mail goes out by, as it is configured now. */
export type OutGateway =
  | {
    readonly kind: "filedrop";
    readonly name: string;
    /** What its addresses end in here, canonical. */
    readonly domain: string;
    /** The folder for what goes out. */
    readonly out: string;
  }
  | {
    readonly kind: "pipe";
    readonly name: string;
    readonly domain: string;
    /** The program and its words. */
    readonly command: readonly string[];
    readonly timeoutMs: number;
  };

/** A folder that mail comes in by. */
export interface InGateway {
  readonly name: string;
  /** What its addresses end in here, canonical. */
  readonly domain: string;
  readonly in: string;
  /** How often it is looked into. */
  readonly pollMs: number;
}

/** Some recipients of a message, all with the same reverse-path. */
export interface Portion {
  readonly message: QueuedMessage;
  /** In the gateway's own form, by their places among the message's recipients. */
  readonly recipients: readonly { readonly index: number; readonly name: string }[];
  readonly reversePath: string;
  readonly content: OutgoingContent;
}

/** What became of a portion. */
export interface Carried {
  readonly kind: "handed" | "deferred" | "failed";
  /** With `failed`. */
  readonly enhanced?: EnhancedCode;
  /** A sentence. */
  readonly text: string;
  /** What was done, a line each. */
  readonly dialogue: readonly string[];
}

/** Files in folders that other systems share; a test puts faults between. Each rejects as node:fs does. */
export interface DropFiles {
  /** The names in a folder. */
  list(folder: string): Promise<readonly string[]>;
  /** Octets of an ordinary file; undefined where there is none (a link or a folder is none). */
  size(path: string): Promise<number | undefined>;
  /** The octets of an ordinary file. */
  read(path: string): AsyncIterable<Uint8Array>;
  /** Makes a file anew and has it on disk when it resolves. */
  write(path: string, content: AsyncIterable<Uint8Array>): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** A file that isn't there is no error. */
  remove(path: string): Promise<void>;
  /** Has a folder's names on disk when it resolves. */
  sync(folder: string): Promise<void>;
  /** A folder that is there is no error. */
  makeFolder(path: string): Promise<void>;
}
