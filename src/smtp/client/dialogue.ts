/**
 * What was said in a session, for people: `queue show`, and the notification that quotes it.
 *
 * Guarantees: no password, and nothing that a password could be searched with, is in it; no content of messages; no
 * control characters; at most {@linkcode DIALOGUE_OCTETS}, with the first and the last lines kept.
 *
 * @module
 */
import { utf8 } from "../../base/bytes.ts";
import { DIALOGUE_OCTETS } from "../../base/limits.ts";
import { printableLine } from "../../base/printable.ts";
import type { Reply } from "../../mail/reply.ts";

/** Each end's share, with room for the line between. */
const HALF_OCTETS = DIALOGUE_OCTETS / 2 - 64;
/** A shorter text would be found everywhere. */
const SECRET_CHARACTERS = 4;

export class Dialogue {
  #head: string[] = [];
  #headOctets = 0;
  #tail: string[] = [];
  #tailOctets = 0;
  #left = 0;
  #secrets: string[] = [];

  /** A text that must not be shown from now on, should the server repeat it. */
  hide(secret: string): void {
    if (secret.length >= SECRET_CHARACTERS && !this.#secrets.includes(secret)) this.#secrets.push(secret);
  }

  /** A text without what must not be shown. */
  masked(text: string): string {
    let shown = text;
    for (const secret of this.#secrets) shown = shown.replaceAll(secret, "***");
    return shown;
  }

  /** A reply without what must not be shown. */
  maskedReply(answer: Reply): Reply {
    if (this.#secrets.length === 0) return answer;
    return { ...answer, lines: answer.lines.map((line) => this.masked(line)) };
  }

  /** Adds what the client (`C`) or the server (`S`) said. */
  said(who: "C" | "S", text: string): void {
    const line = `${who}: ${printableLine(who === "S" ? this.masked(text) : text)}`;
    const octets = utf8(line).length + 1;
    if (this.#tail.length === 0 && this.#left === 0 && this.#headOctets + octets <= HALF_OCTETS) {
      this.#head.push(line);
      this.#headOctets += octets;
      return;
    }
    this.#tail.push(line);
    this.#tailOctets += octets;
    while (this.#tailOctets > HALF_OCTETS) {
      this.#tailOctets -= utf8(this.#tail.shift()!).length + 1;
      this.#left++;
    }
  }

  /** What was said since the last call, lines joined by LF. */
  take(): string {
    const between = this.#left === 0 ? [] : [`(${this.#left} lines left out)`];
    const text = [...this.#head, ...between, ...this.#tail].join("\n");
    this.#head = [];
    this.#tail = [];
    this.#headOctets = this.#tailOctets = this.#left = 0;
    return text;
  }
}
