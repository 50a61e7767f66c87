/** Parts of gateways to test with: messages for one, folders, files with faults. */
import type { Courier, Sent } from "../../../src/queue/courier_types.ts";
import { destinationOf, type Job } from "../../../src/queue/destination.ts";
import { gatewayConnect, type GatewayOptions } from "../../../src/queue/gateways/courier.ts";
import { dropFiles } from "../../../src/queue/gateways/files.ts";
import type { DropFiles, OutGateway } from "../../../src/queue/gateways/types.ts";
import type { Verdict } from "../../../src/queue/ledger.ts";
import type { OutgoingContent } from "../../../src/queue/smtp_courier.ts";
import type { QueuedMessage } from "../../../src/store/types.ts";
import { FakeClock } from "../../../src/base/clock.ts";
import { queued, type QueuedOptions } from "./queue_fixture.ts";

export const DOMAIN = "mhs.example.org";

/** A folder of a test's own. */
export async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "emsmail-gateway-" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Names in a folder, sorted, with those of temporary files. */
export function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

export const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (each) => each.charCodeAt(0));

/** Content in parts of `partOctets`. */
export function contentOf(octets: Uint8Array, partOctets = 1000): OutgoingContent {
  return {
    size: octets.length,
    async *parts() {
      for (let at = 0; at < octets.length; at += partOctets) yield octets.slice(at, at + partOctets);
    },
  };
}

/** A message with its lines ended by CRLF. */
export function lines(...given: string[]): Uint8Array {
  return latin1(given.map((line) => `${line}\r\n`).join(""));
}

export function jobFor(
  name: string,
  key = 7,
  options: QueuedOptions = { recipients: [`bob@sales.${DOMAIN}`] },
): { readonly message: QueuedMessage; readonly job: Job; readonly destination: Job["route"]["hop"] } {
  const message = queued(key, options);
  const hop = { kind: "gateway", name } as const;
  const route = {
    channel: "gateway",
    recipient: { local: "bob", domain: DOMAIN },
    accept: "users",
    hop,
    rule: `gateways.${name}`,
  } as const;
  return { message, job: { message, recipients: message.recipients, route }, destination: hop };
}

/** A gateway's courier for tests; a failure to connect is thrown. */
export async function courierFor(
  gateway: OutGateway,
  content: Uint8Array,
  options: Partial<GatewayOptions> = {},
): Promise<Courier> {
  const connect = gatewayConnect({
    gateway: (name) => name === gateway.name ? gateway : undefined,
    content: () => Promise.resolve(contentOf(content)),
    clock: new FakeClock(),
    retryAtMs: (failures) => 1000 + failures,
    ...options,
  });
  const { destination: hop } = jobFor(gateway.name);
  const connected = await connect(destinationOf(hop, {}), new AbortController().signal);
  if (connected.kind !== "courier") throw new Error(JSON.stringify(connected));
  return connected.courier;
}

/** What happens to the nth change: nothing before it, or half of it, and then nothing more at all. */
export class CrashingFiles implements DropFiles {
  changes = 0;
  readonly #crashAt: number;
  readonly #how: "before" | "after";
  #isDead = false;

  constructor(crashAt: number, how: "before" | "after") {
    this.#crashAt = crashAt;
    this.#how = how;
  }

  get dead(): boolean {
    return this.#isDead;
  }

  async #change(work: () => Promise<void>): Promise<void> {
    this.#alive();
    const isLast = ++this.changes === this.#crashAt;
    if (isLast && this.#how === "before") this.#isDead = true;
    this.#alive();
    await work();
    if (isLast) this.#isDead = true;
    this.#alive();
  }

  #alive(): void {
    if (this.#isDead) throw new Error("crashed");
  }

  list(folder: string): Promise<readonly string[]> {
    this.#alive();
    return dropFiles.list(folder);
  }
  size(path: string): Promise<number | undefined> {
    this.#alive();
    return dropFiles.size(path);
  }
  read(path: string): AsyncIterable<Uint8Array> {
    this.#alive();
    return dropFiles.read(path);
  }
  write(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    // Half of it is written when it crashes before the end.
    const isTorn = this.changes + 1 === this.#crashAt && this.#how === "before";
    if (isTorn) {
      return this.#torn(path, content);
    }
    return this.#change(() => dropFiles.write(path, content));
  }
  async #torn(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const parts: Uint8Array[] = [];
    for await (const part of content) parts.push(part);
    const first = parts[0] ?? new Uint8Array();
    await Deno.writeFile(path, first.subarray(0, first.length >> 1));
    await this.#change(() => Promise.resolve());
  }
  rename(from: string, to: string): Promise<void> {
    return this.#change(() => dropFiles.rename(from, to));
  }
  remove(path: string): Promise<void> {
    return this.#change(() => dropFiles.remove(path));
  }
  sync(folder: string): Promise<void> {
    return this.#change(() => dropFiles.sync(folder));
  }
  makeFolder(path: string): Promise<void> {
    return this.#change(() => dropFiles.makeFolder(path));
  }
}

/** Files that fail with a code where `when` says so. */
export function faultyFiles(
  when: (what: keyof DropFiles, path: string) => string | undefined,
): DropFiles {
  const checked = async (what: keyof DropFiles, path: string, work: () => Promise<void>) => {
    const code = when(what, path);
    if (code !== undefined) throw Object.assign(new Error(`${code}: ${what}`), { code });
    await work();
  };
  return {
    ...dropFiles,
    write: (path, content) => checked("write", path, () => dropFiles.write(path, content)),
    rename: (from, to) => checked("rename", from, () => dropFiles.rename(from, to)),
    remove: (path) => checked("remove", path, () => dropFiles.remove(path)),
    sync: (folder) => checked("sync", folder, () => dropFiles.sync(folder)),
  };
}

type VerdictOf<K, V = Verdict> = V extends { readonly kind: infer Kinds } ? K extends Kinds ? V : never
  : never;

/** The only verdict of a job, which must be of a kind. */
export function only<K extends Verdict["kind"]>(sent: Sent, kind: K): VerdictOf<K> {
  if (sent.kind !== "done" || sent.verdicts.length !== 1 || sent.verdicts[0]!.kind !== kind) {
    throw new Error(`not one that is ${kind}: ${JSON.stringify(sent)}`);
  }
  return sent.verdicts[0] as VerdictOf<K>;
}
