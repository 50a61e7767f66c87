/**
 * Mail on its way out, as tests hand it in and look at it.
 *
 * @module
 */
import type { MessageTrace, RecipientTrace } from "../../../src/admin/trace.ts";
import { message, PASSWORD, pause, type Server, stuff, until } from "../harness.ts";
import { plainResponse } from "../wire.ts";

/** What is handed in. */
export interface Handed {
  /** Each with its parameters: `<a@example.org> NOTIFY=NEVER`, or an address alone. */
  readonly to: string | readonly string[];
  /** Parameters of MAIL. */
  readonly asked?: string;
  /** @default a short message */
  readonly data?: string;
}

/** Settings with which a system delivers by DNS at once and tries again every second. */
export function directBy(dns: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    relay: { mode: "direct" },
    queue: { retry: ["1s"] },
    ...more,
    dns: { servers: [dns], timeout: "2s" },
  };
}

/** Submits a message as alice, in TLS; gives its id. */
export async function submit(server: Server, handed: Handed): Promise<string> {
  const wire = await server.connect("submissions");
  await wire.expect(250, "EHLO client.example.test");
  await wire.expect(235, `AUTH PLAIN ${plainResponse("alice", PASSWORD)}`);
  await wire.expect(250, `MAIL FROM:<alice@example.test>${handed.asked ? ` ${handed.asked}` : ""}`);
  for (const to of [handed.to].flat()) {
    await wire.expect(250, `RCPT TO:${to.startsWith("<") ? to : `<${to}>`}`);
  }
  await wire.expect(354, "DATA");
  const data = handed.data ?? message({ subject: "On its way", from: "alice@example.test" });
  const { lines } = await wire.expect(250, `${stuff(data)}.`);
  await wire.expect(221, "QUIT");
  wire.close();
  return lines[0]!.split(" ").at(-1)!;
}

/** All that is known of a message. */
export async function traced(server: Server, id: string): Promise<MessageTrace> {
  const found = JSON.parse(await server.mustCli(["trace", id, "--json"])) as MessageTrace[];
  return found[0]!;
}

/** Waits until a message fits, and gives what is known of it. */
export async function untilTraced(
  server: Server,
  id: string,
  fits: (message: MessageTrace) => boolean,
): Promise<MessageTrace> {
  let last: MessageTrace | undefined;
  try {
    await until(`message ${id} to get where it should`, async () => {
      last = await traced(server, id);
      if (fits(last)) return true;
      await pause(100);
      return false;
    });
  } catch (error) {
    throw new Error(`${(error as Error).message}; it stands so: ${JSON.stringify(last, null, 1)}`);
  }
  return last!;
}

/** Waits until every recipient of a message is in a state, by recipient in order. */
export async function untilStates(
  server: Server,
  id: string,
  ...states: readonly RecipientTrace["state"][]
): Promise<MessageTrace> {
  return await untilTraced(
    server,
    id,
    ({ recipients }) =>
      recipients.length === states.length && recipients.every(({ state }, i) => state === states[i]),
  );
}

/** Has all that waits be tried at once, whatever pause it is in. */
export async function retryAll(server: Server): Promise<void> {
  await server.mustCli(["queue", "retry", "--all"]);
}
