/**
 * Mail on its way out, put into a store as the server would.
 *
 * @module
 */
import type { FakeClock } from "../../../src/base/clock.ts";
import { fromLatin1 } from "../../../src/base/bytes.ts";
import type { MessageRequests, Origin, RecipientRequests } from "../../../src/mail/envelope.ts";
import { type MessageKey, messageKeyGenerator } from "../../../src/mail/message_id.ts";
import type { Attempt, DestinationState, Outcome, Store, Wait } from "../../../src/store/types.ts";

export interface Outgoing {
  readonly to: readonly string[];
  readonly from?: string;
  readonly text?: string;
  readonly messageId?: string;
  readonly requests?: MessageRequests;
  readonly recipientRequests?: readonly (RecipientRequests | undefined)[];
  readonly made?: Origin["made"];
}

/** A store with a clock, and short ways to say what happened. */
export class Outbox {
  readonly store: Store;
  readonly clock: FakeClock;

  constructor({ store, clock }: { readonly store: Store; readonly clock: FakeClock }) {
    this.store = store;
    this.clock = clock;
  }

  /** Accepts a message of `alice@example.org`. */
  async accept(
    { to, from, text, messageId, requests, recipientRequests, made }: Outgoing,
  ): Promise<MessageKey> {
    const key = messageKeyGenerator(this.clock, 0, await this.store.history.newestKey())();
    const body = fromLatin1(text ?? "Subject: x\r\n\r\nx\r\n");
    await this.store.spool.accept({
      key,
      lastPart: body,
      size: body.length,
      receivedAtMs: this.clock.nowMs(),
      envelope: {
        reversePath: from ?? "alice@example.org",
        recipients: to,
        smtpUtf8: false,
        ...requests === undefined ? {} : { requests },
        ...recipientRequests === undefined ? {} : { recipientRequests },
      },
      origin: {
        client: "192.0.2.7",
        helo: "pc",
        transmission: "ESMTPSA",
        tls: "TLSv1.3 X",
        account: "alice",
        ...made === undefined ? {} : { made },
      },
      messageId: messageId ?? "",
    });
    return key;
  }

  /** Records an outcome for a recipient, by place from 0. */
  settle(key: MessageKey, index: number, outcome: Partial<Outcome> & Pick<Outcome, "state">): Promise<void> {
    const whole: Outcome = { key, index, atMs: this.clock.nowMs(), detail: "", deliverTo: [], ...outcome };
    return this.store.deliveries.record({ outcomes: [whole] });
  }

  /** Defers a recipient that was tried once, to be tried again in ten minutes. */
  defer(
    key: MessageKey,
    index: number,
    options: Partial<Wait> & { readonly detail?: string },
  ): Promise<void> {
    const { detail = "451 4.3.0 try later", ...wait } = options;
    const nowMs = this.clock.nowMs();
    return this.settle(key, index, {
      state: "deferred",
      detail,
      wait: {
        destination: "example.net",
        dueMs: nowMs + 600_000,
        deadlineMs: nowMs + 14_400_000,
        attempts: 1,
        ...wait,
      },
    });
  }

  /** Keeps a try at mx.example.net. */
  attempt(key: MessageKey, indexes: readonly number[], options: Partial<Attempt> = {}): Promise<void> {
    const attempt: Attempt = {
      key,
      indexes,
      atMs: this.clock.nowMs(),
      durationMs: 420,
      destination: "example.net",
      host: "mx.example.net",
      address: "192.0.2.1:25",
      tls: "TLSv1.3 TLS_AES_256_GCM_SHA384, not verified",
      result: "451 4.3.0 try later",
      dialogue: "S: 220 mx.example.net ESMTP\nC: EHLO mail.example.org\nS: 451 4.3.0 try later",
      ...options,
    };
    return this.store.deliveries.record({ outcomes: [], attempts: [attempt] });
  }

  /** Notes that a destination doesn't answer. */
  fails(destination: string, options: Partial<DestinationState> = {}): Promise<void> {
    const state: DestinationState = {
      destination,
      failures: 3,
      retryAtMs: this.clock.nowMs() + 1_800_000,
      reason: "connection refused by 192.0.2.1:25",
      ...options,
    };
    return this.store.deliveries.record({ outcomes: [], destinations: [state] });
  }
}
