/** Entry of the writer's thread in tests; the product has an entry of its own. */
import { parentPort, workerData } from "node:worker_threads";
import { type Control, runWriter } from "../../../src/store/sqlite/writer_thread.ts";

const { path, recover, tickMs } = workerData as { path: string; recover: "yes" | "no"; tickMs?: number };
runWriter({ path, ports: [], control: parentPort as unknown as Control, recover, tickMs });
