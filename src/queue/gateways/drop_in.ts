/**
 * Takes the mail that another system puts into a folder: the configuration's `gateways.filedrop`, inward.
 *
 * A message is two files, `X.head` and its body; drop_head.ts has the form. The head has to appear last, under its name at
 * once (written under another and renamed).
 *
 * Guarantees: a message is neither lost nor taken twice, wherever a crash comes between. What can't be taken goes to the folder
 * `bad` with a text file `X.error` that says the line, what is wrong and what would be right; a later one of the same
 * name is `X.2` there, and so on. Whoever writes into the folder
 * reaches people here, their shadows and lists included, and nobody else; its senders are addresses of the gateway alone.
 *
 * States of a pair:
 * ```
 * X.head, body -> X.head.KEY, body          KEY is the id that the message will have
 *              -> the same, and the message accepted
 *              -> X.head.KEY -> nothing
 * X.head, body -> bad/X.error -> and bad/body -> and bad/X.head
 * ```
 * After a restart X.head.KEY says which message to look for: if it is there the files go, and otherwise it is taken with
 * that same key.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { join } from "node:path";
import { concat } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { CHUNK_OCTETS, RECEIVED_FIELDS } from "../../base/limits.ts";
import type { Address } from "../../mail/address.ts";
import { formatMessageKey, type MessageKey, parseMessageKey } from "../../mail/message_id.ts";
import type { History, Spool } from "../../store/types.ts";
import { type DropHead, HEAD_OCTETS, type HeadProblem, parseHead } from "./drop_head.ts";
import {
  dropEnvelope,
  dropMessage,
  dropMessageId,
  type DropMessageOptions,
  dropOrigin,
  formOf,
  type Survey,
  survey,
} from "./drop_message.ts";
import { fileProblem } from "./files.ts";
import type { DropFiles, InGateway } from "./types.ts";

const log = getLogger(["emsmail", "gateway"]);

/** Looks at a folder before a head whose body is not there, or not whole, counts as bad. */
const PATIENCE_POLLS = 10;
/** Messages taken in one look: others' folders wait meanwhile. */
const MESSAGES_PER_POLL = 100;
const HEAD = /^[^.].*\.head$/;
const CLAIMED = /^([^.].*)\.head\.([0-9a-z]{10})$/;

export interface DropInOptions {
  readonly files: DropFiles;
  readonly spool: Spool;
  readonly history: Pick<History, "message">;
  readonly clock: Clock;
  nextKey(): MessageKey;
  settings(): {
    readonly hostname: string;
    /** Our first domain. */
    readonly domain: string;
    /** The largest message taken. */
    readonly messageOctets: number;
  };
  /** Why an address gets no mail from such a folder, in a sentence; undefined: it is somebody here. */
  refusal(recipient: Address, sender: Address | null): Promise<string | undefined>;
}

/** One pair of files in hand. */
interface Pair {
  readonly gateway: InGateway;
  /** Without `.head`. */
  readonly stem: string;
  /** The head file's name as it stands now. */
  readonly headName: string;
}

/** A pair that can't be taken for good. */
class BadDrop extends Error {
  readonly line: number;
  constructor({ line, problem }: HeadProblem) {
    super(problem);
    this.line = line;
  }
}

/** Not all of it is there yet. */
class NotYet extends Error {}

/** A folder looked into again and again. */
export class DropIn {
  readonly #options: DropInOptions;
  /** Of heads that wait for their bodies: how often they were looked at. */
  readonly #waited = new Map<string, number>();
  /** Troubles told already, so that the log says each once. */
  readonly #told = new Map<string, string>();

  constructor(options: DropInOptions) {
    this.#options = options;
  }

  /** Looks into a gateway's folder once; gives how many messages were taken. Never rejects. */
  async poll(gateway: InGateway, stopped: () => boolean = () => false): Promise<number> {
    let names: readonly string[];
    try {
      names = await this.#options.files.list(gateway.in);
      this.#told.delete(gateway.in);
    } catch (error) {
      this.#tellOnce(gateway.in, fileProblem(gateway.in, error));
      return 0;
    }
    const heads = names.filter((name) => HEAD.test(name) || CLAIMED.test(name)).sort();
    this.#forget(gateway, heads);
    let taken = 0;
    for (const headName of heads) {
      if (stopped() || taken >= MESSAGES_PER_POLL) break;
      if (await this.#take(gateway, headName) === "taken") taken++;
    }
    return taken;
  }

  async #take(gateway: InGateway, headName: string): Promise<"taken" | "left"> {
    const claimed = CLAIMED.exec(headName);
    const stem = claimed?.[1] ?? headName.slice(0, -".head".length);
    const pair: Pair = { gateway, stem, headName };
    const path = join(gateway.in, headName);
    try {
      const key = claimed === null ? undefined : parseMessageKey(claimed[2]!);
      const taken = key === undefined ? await this.#takeNew(pair) : await this.#resume(pair, key);
      this.#told.delete(path);
      return taken;
    } catch (error) {
      if (error instanceof NotYet) return "left";
      if (error instanceof BadDrop) return await this.#refuse(pair, error);
      // Ours, or the disk's: the files stay, and are looked at again.
      this.#tellOnce(path, fileProblem(path, error));
      return "left";
    }
  }

  async #takeNew(pair: Pair): Promise<"taken"> {
    const { gateway, stem, headName } = pair;
    const { files } = this.#options;
    const { head, bodyName, found } = await this.#read(pair);
    for (const { address, line } of head.to) {
      const problem = await this.#options.refusal(address, head.returnPath);
      if (problem !== undefined) {
        throw new BadDrop({ line, problem: `${problem}: correct the line, or take it out` });
      }
    }
    const key = this.#options.nextKey();
    const claimedName = `${stem}.head.${formatMessageKey(key)}`;
    await files.rename(join(gateway.in, headName), join(gateway.in, claimedName));
    await files.sync(gateway.in);
    await this.#accept({ ...pair, headName: claimedName }, { key, head, bodyName, found });
    return "taken";
  }

  /** Goes on with a pair that was claimed by a server that ended, or whose message could not be accepted then. */
  async #resume(pair: Pair, key: MessageKey): Promise<"taken"> {
    const { gateway, stem, headName } = pair;
    const { files, history } = this.#options;
    const known = await history.message(key);
    if (known === undefined) {
      const { head, bodyName, found } = await this.#read(pair);
      await this.#accept(pair, { key, head, bodyName, found });
    } else if (known.origin.helo === gateway.name && known.origin.client === "") {
      const head = await this.#head(pair);
      await this.#removeFiles(pair, head.body ?? await this.#bodyName(pair));
    } else {
      // Another message has come to have that key, as it may where the clock was set back.
      await files.rename(join(gateway.in, headName), join(gateway.in, `${stem}.head`));
      throw new NotYet();
    }
    return "taken";
  }

  async #head({ gateway, headName }: Pair): Promise<DropHead> {
    const { files } = this.#options;
    const path = join(gateway.in, headName);
    const size = await files.size(path);
    if (size === undefined) {
      throw new BadDrop({ line: 0, problem: "is not an ordinary file: write the header into one" });
    }
    if (size > HEAD_OCTETS) throw new BadDrop({ line: 0, problem: `has more than ${HEAD_OCTETS} octets` });
    const parts: Uint8Array[] = [];
    for await (const part of files.read(path)) parts.push(part);
    const head = parseHead(concat(parts), { gateway: gateway.domain, own: this.#options.settings().domain });
    if ("problem" in head) throw new BadDrop(head);
    return head;
  }

  async #bodyName({ gateway, stem }: Pair): Promise<string> {
    // A whole message is written with this suffix.
    const whole = `${stem}.eml`;
    const isWhole = await this.#options.files.size(join(gateway.in, `${stem}.body`)) === undefined &&
      await this.#options.files.size(join(gateway.in, whole)) !== undefined;
    return isWhole ? whole : `${stem}.body`;
  }

  /** All that must be right before the message may be taken. */
  async #read(pair: Pair): Promise<{ head: DropHead; bodyName: string; found: Survey }> {
    const { gateway, headName } = pair;
    const { files, settings } = this.#options;
    const head = await this.#head(pair);
    const bodyName = head.body ?? await this.#bodyName(pair);
    if (HEAD.test(bodyName) || CLAIMED.test(bodyName)) {
      throw new BadDrop({ line: 0, problem: `names a header file as its body, ${bodyName}` });
    }
    const bodyPath = join(gateway.in, bodyName);
    const size = await files.size(bodyPath);
    if (size === undefined || head.octets !== undefined && size < head.octets) {
      this.#wait(pair, {
        line: 0,
        problem: size === undefined
          ? `names a body file that is not there, or is not an ordinary file: ${bodyName}`
          : `says ${head.octets} octets, and ${bodyName} has ${size}`,
      });
    }
    const limit = settings().messageOctets;
    if (sizeAsMail(size!, head) > limit) {
      throw new BadDrop({
        line: 0,
        problem: `${bodyName} has ${size} octets; a message may have ${limit} in all`,
      });
    }
    const found = await survey(files.read(bodyPath));
    this.#waited.delete(join(gateway.in, headName));
    if (head.octets !== undefined && found.octets !== head.octets) {
      throw new BadDrop({
        line: 0,
        problem: `says ${head.octets} octets, and ${bodyName} has ${found.octets}`,
      });
    }
    if (head.sha256 !== undefined && found.sha256 !== head.sha256) {
      throw new BadDrop({ line: 0, problem: `says another SHA-256 than ${bodyName} has, ${found.sha256}` });
    }
    // RFC 5321 6.3
    const hops = head.hops + (formOf(head) === "message" ? found.header.receivedCount : 0);
    if (hops > RECEIVED_FIELDS) {
      throw new BadDrop({
        line: 0,
        problem: `has passed ${hops} servers: the message goes round in circles`,
      });
    }
    return { head, bodyName, found };
  }

  /** @throws {NotYet} or, when it has waited for too long, {BadDrop} */
  #wait({ gateway, headName }: Pair, problem: HeadProblem): never {
    const path = join(gateway.in, headName);
    const polls = (this.#waited.get(path) ?? 0) + 1;
    if (polls >= PATIENCE_POLLS) {
      this.#waited.delete(path);
      throw new BadDrop(problem);
    }
    this.#waited.set(path, polls);
    throw new NotYet();
  }

  async #accept(
    pair: Pair,
    { key, head, bodyName, found }: {
      readonly key: MessageKey;
      readonly head: DropHead;
      readonly bodyName: string;
      readonly found: Survey;
    },
  ): Promise<void> {
    const { gateway } = pair;
    const { files, spool, clock, settings } = this.#options;
    const options: DropMessageOptions = {
      key,
      gateway,
      found,
      hostname: settings().hostname,
      nowMs: clock.nowMs(),
    };
    const content = dropMessage(head, files.read(join(gateway.in, bodyName)), options);
    try {
      const { lastPart, size } = await appendParts(spool, key, content);
      await spool.accept({
        key,
        lastPart,
        size,
        receivedAtMs: options.nowMs,
        envelope: dropEnvelope(head, options),
        origin: dropOrigin(gateway.name),
        messageId: dropMessageId(head, options),
      });
    } catch (error) {
      await spool.discard(key).catch(() => {});
      throw error;
    }
    log.info("message taken from a folder", {
      id: formatMessageKey(key),
      gateway: gateway.name,
      file: pair.stem,
      recipients: head.to.length,
    });
    await this.#removeFiles(pair, bodyName);
  }

  /** The body first: a head without it that is left by a crash says that the message is there. */
  async #removeFiles({ gateway, headName }: Pair, bodyName: string): Promise<void> {
    const { files } = this.#options;
    await files.remove(join(gateway.in, bodyName));
    await files.remove(join(gateway.in, headName));
    await files.sync(gateway.in);
  }

  /** Puts a pair aside, where earlier ones keep their names. */
  async #refuse(pair: Pair, { line, message }: BadDrop): Promise<"left"> {
    const { gateway, stem, headName } = pair;
    const { files } = this.#options;
    const bad = join(gateway.in, "bad");
    const where = line === 0 ? `${stem}.head` : `${stem}.head:${line}`;
    try {
      const head = await this.#head(pair).catch(() => undefined);
      const bodyName = head?.body ?? await this.#bodyName(pair);
      await files.makeFolder(bad);
      const isBodyThere = !HEAD.test(bodyName) && !CLAIMED.test(bodyName) &&
        await files.size(join(gateway.in, bodyName)) !== undefined;
      const taken = new Set(await files.list(bad));
      const aside = asideNames({ stem, bodyName, isBodyThere, taken });
      // A crash may have moved the body before the head: why it is there was written then.
      const isHalfMoved = !isBodyThere && taken.has(aside.body) && taken.has(aside.error);
      if (!isHalfMoved) {
        const renamed = aside.number === 1
          ? ""
          : `Kept as ${aside.head}${
            isBodyThere ? ` and ${aside.body}` : ""
          }: ${stem}.head is an earlier one.\n`;
        await files.write(join(bad, aside.error), errorFile(`${where}: ${message}\n${renamed}`));
      }
      if (isBodyThere) await files.rename(join(gateway.in, bodyName), join(bad, aside.body));
      await files.rename(join(gateway.in, headName), join(bad, aside.head));
      await files.sync(bad);
      await files.sync(gateway.in);
      log.warn("a message in a folder was refused", { gateway: gateway.name, file: where, reason: message });
    } catch (error) {
      this.#tellOnce(join(gateway.in, headName), `${message}; and ${fileProblem(bad, error)}`);
    }
    return "left";
  }

  #tellOnce(path: string, problem: string): void {
    if (this.#told.get(path) === problem) return;
    this.#told.set(path, problem);
    log.error("a gateway's folder gives trouble; it is tried again", { reason: problem });
  }

  /** What is no longer there needs no memory. */
  #forget({ in: folder }: InGateway, heads: readonly string[]): void {
    const paths = new Set(heads.map((name) => join(folder, name)));
    for (const memory of [this.#waited, this.#told]) {
      for (const path of memory.keys()) {
        if (path.startsWith(join(folder, "/")) && !paths.has(path)) memory.delete(path);
      }
    }
  }
}

/** Names in the folder of bad ones that no earlier pair has: those the files had, or with a number behind the stem. */
function asideNames({ stem, bodyName, isBodyThere, taken }: {
  readonly stem: string;
  readonly bodyName: string;
  readonly isBodyThere: boolean;
  readonly taken: ReadonlySet<string>;
}): { readonly number: number; readonly head: string; readonly body: string; readonly error: string } {
  for (let number = 1;; number++) {
    const numbered = number === 1 ? "" : `.${number}`;
    const head = `${stem}${numbered}.head`;
    const body = bodyName.startsWith(`${stem}.`)
      ? `${stem}${numbered}${bodyName.slice(stem.length)}`
      : `${bodyName}${numbered}`;
    // An error file alone has no message beside it, or is this one's, written before a crash.
    if (taken.has(head) || isBodyThere && taken.has(body)) continue;
    return { number, head, body, error: `${stem}${numbered}.error` };
  }
}

/** Octets of the message that a body of so many becomes, about: base64 takes 4 for 3, and line ends. */
function sizeAsMail(octets: number, head: DropHead): number {
  return formOf(head) === "attachment" ? Math.ceil(octets / 57) * 78 : octets;
}

async function* errorFile(text: string): AsyncIterable<Uint8Array> {
  yield new TextEncoder().encode(text);
}

/** Gives a message's octets to the spool, all but the last part. */
async function appendParts(
  spool: Spool,
  key: MessageKey,
  content: AsyncIterable<Uint8Array>,
): Promise<{ readonly lastPart: Uint8Array; readonly size: number }> {
  let held: Uint8Array[] = [];
  let heldOctets = 0;
  let size = 0;
  for await (const given of content) {
    let octets = given;
    while (heldOctets + octets.length > CHUNK_OCTETS) {
      const room = CHUNK_OCTETS - heldOctets;
      await spool.append(key, concat([...held, octets.subarray(0, room)]));
      octets = octets.subarray(room);
      size += CHUNK_OCTETS;
      held = [];
      heldOctets = 0;
    }
    // A copy: it may be a view of something that its maker uses again.
    held.push(octets.slice());
    heldOctets += octets.length;
  }
  return { lastPart: concat(held), size: size + heldOctets };
}
