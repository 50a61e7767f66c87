/**
 * Starting threads, and what they and the main thread say to each other.
 *
 * @module
 */
import { type MessagePort, type TransferListItem, Worker } from "node:worker_threads";
import type { Config } from "../config/config.ts";
import type { GuardBuffers } from "../server/login/guard.ts";
import type { ServiceAddress } from "../server/protocol_server.ts";

/** A certificate as it goes from thread to thread: PEM texts. */
export interface TlsPems {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
}

export interface WriterThreadData {
  readonly role: "writer";
  readonly config: Config;
  readonly database: string;
}

export interface ProtocolThreadData {
  readonly role: "protocol";
  /** 1 and up: the message id slot and the owner of maildrop locks. */
  readonly slot: number;
  readonly config: Config;
  readonly database: string;
  readonly writer: MessagePort;
  readonly counters: SharedArrayBuffer;
  readonly locks: SharedArrayBuffer;
  readonly guard: GuardBuffers;
  /** The same 32 random octets for every thread. */
  readonly secret: Uint8Array;
}

export type ThreadData = WriterThreadData | ProtocolThreadData;

/** From the main thread. */
export type ThreadOrder =
  | {
    readonly kind: "begin";
    readonly tls: TlsPems;
    readonly addresses: readonly ServiceAddress[];
    /** The largest message key when the server started. */
    readonly newestKey: number;
    readonly srsSecret: Uint8Array;
  }
  | { readonly kind: "reload"; readonly config: Config; readonly tls: TlsPems }
  | { readonly kind: "stop"; readonly graceMs: number };

/** To the main thread. */
export type ThreadNews =
  | { readonly kind: "ready" }
  | { readonly kind: "stopped" }
  | { readonly kind: "failed"; readonly message: string };

/** The single binary's own start-up text, by which a thread starts the same program again. */
declare const globalThis: { readonly __emsmailLauncher?: string };

/** Starts this program again as a thread. */
export function startThread(workerData: ThreadData, transferList: TransferListItem[]): Worker {
  const launcher = globalThis.__emsmailLauncher;
  const options = { workerData, transferList };
  return launcher !== undefined
    ? new Worker(launcher, { ...options, eval: true })
    : new Worker(new URL("../../main.ts", import.meta.url), options);
}

/** Resolves when a thread says it is ready or stopped; rejects when it fails or ends before. */
export function untilThread(worker: Worker, kind: "ready" | "stopped"): Promise<void> {
  return new Promise((resolve, reject) => {
    const onMessage = (news: ThreadNews) => {
      if (news.kind === kind) done(resolve);
      else if (news.kind === "failed") done(() => reject(new Error(news.message)));
    };
    const onExit = () =>
      kind === "stopped" ? done(resolve) : done(() => reject(new Error("a thread ended early")));
    const onError = (error: unknown) => done(() => reject(error));
    const done = (then: () => void) => {
      worker.off("message", onMessage);
      worker.off("exit", onExit);
      worker.off("error", onError);
      then();
    };
    worker.on("message", onMessage);
    worker.on("exit", onExit);
    worker.on("error", onError);
  });
}
