/**
 * The writer thread: every change that the serving process makes to the store.
 *
 * @module
 */
import { parentPort } from "node:worker_threads";
import { configureLogging } from "../base/log.ts";
import { runWriter } from "../store/sqlite/writer_thread.ts";
import type { WriterThreadData } from "./threads.ts";

export function runWriterThread(data: WriterThreadData): void {
  configureLogging(data.config.log);
  runWriter({ path: data.database, ports: [], control: parentPort!, recover: "yes" });
}
