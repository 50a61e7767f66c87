/**
 * Where the parts are joined: `serve()` is the main thread, `runThread()` any other.
 *
 * Threads: the main thread (signals, delivery, maintenance), one writer (every change to the store), and N protocol
 * threads (sockets). With `threads: 0` all of it is one thread, which is what Deno does best.
 *
 * @module
 */
import { workerData } from "node:worker_threads";
import type { ThreadData } from "./app/threads.ts";

export { serve, type ServeOptions } from "./app/serve.ts";

/** The body of a thread that {@linkcode serve} started. */
export async function runThread(): Promise<void> {
  const data = workerData as ThreadData;
  if (data.role === "writer") (await import("./app/writer_thread.ts")).runWriterThread(data);
  else (await import("./app/protocol_thread.ts")).runProtocolThread(data);
}
