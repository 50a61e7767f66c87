/**
 * An admin context over a store in memory, and mail put into it.
 *
 * @module
 */
import { FakeClock } from "../../../src/base/clock.ts";
import { fromLatin1 } from "../../../src/base/bytes.ts";
import { seededRandom } from "../../../src/base/random.ts";
import type { AdminContext } from "../../../src/admin/context.ts";
import { addUser } from "../../../src/admin/users.ts";
import { type ConfigPart, defaultConfig } from "../../../src/config/config.ts";
import { formatMessageKey, messageKeyGenerator } from "../../../src/mail/message_id.ts";
import { openMemoryStore } from "../../../src/store/memory.ts";
import type { Store } from "../../../src/store/types.ts";

export interface Fixture extends AdminContext {
  readonly clock: FakeClock;
}

/** Domains example.org and example.net; passwords are cheap. */
export function fixture(config: ConfigPart = {}): Fixture {
  const clock = new FakeClock();
  return {
    store: openMemoryStore({ clock }),
    config: defaultConfig({
      domains: ["example.org", "example.net"],
      auth: { scryptCost: 10, scramIterations: 4096 },
      ...config,
    }),
    clock,
    random: seededRandom(7),
  };
}

/** Accounts with the password `secret`. */
export async function withUsers(...names: string[]): Promise<Fixture> {
  const context = fixture();
  for (const name of names) await addUser(context, { name, password: "secret" });
  return context;
}

export interface Delivered {
  readonly text: string;
  readonly to: string;
  readonly from?: string;
  readonly messageId?: string;
}

const RETURN_PATH = fromLatin1("Return-Path: <sender@example.com>\r\n");

/** Accepts a message and puts it into an account's maildrop; gives its id. */
export async function deliver(store: Store, clock: FakeClock, mail: Delivered): Promise<string> {
  const key = messageKeyGenerator(clock, 0, await store.history.newestKey())();
  const body = fromLatin1(mail.text);
  const account = (await store.directory.account(mail.to))!;
  await store.spool.accept({
    key,
    lastPart: body.slice(),
    size: body.length,
    receivedAtMs: clock.nowMs(),
    envelope: {
      reversePath: mail.from ?? "sender@example.com",
      recipients: [`${mail.to}@example.org`],
      smtpUtf8: false,
    },
    origin: { client: "192.0.2.7", helo: "pc.example.com", transmission: "ESMTPS", tls: "TLSv1.3 X" },
    messageId: mail.messageId ?? "",
  });
  const missing = mail.text.endsWith("\r\n") ? 0 : 2;
  await store.deliveries.record({
    outcomes: [{
      key,
      index: 0,
      state: "delivered",
      atMs: clock.nowMs(),
      detail: "",
      deliverTo: [{
        account: account.id,
        trace: RETURN_PATH.slice(),
        size: RETURN_PATH.length + body.length + missing,
      }],
    }],
  });
  return formatMessageKey(key);
}
