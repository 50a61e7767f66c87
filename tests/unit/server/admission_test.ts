/** Who may talk on which listener: the decision, and the seed's Figure 2 over sockets. */
import { assert, assertEquals } from "@std/assert";
import type { ConfigPart } from "../../../src/config/config.ts";
import { admit } from "../../../src/server/admission.ts";
import type { Service } from "../../../src/server/context.ts";
import { configOf, serving, until } from "./fixture.ts";

const OURS = { family: "ipv4", address: "127.0.0.0", prefixBits: 8 } as const;
const THEIRS = { family: "ipv4", address: "192.0.2.0", prefixBits: 24 } as const;

function relay(mode: "direct" | "buffer" | "intranet" | "combined", acceptFrom = [THEIRS]): ConfigPart {
  return { relay: { mode, buffer: { host: "buffer.example.net", acceptFrom, receivers: 2 } } };
}

Deno.test("admit() lets only the buffer host use smtp in buffer mode, counted by itself", () => {
  const config = configOf({ ...relay("buffer"), receivers: 7, receiversPerClient: 3 });
  const admitted = (service: Service, client: string) => {
    const { kind, limits, refusal } = admit(config, { service, client });
    return [kind, limits.total, limits.perClient, refusal?.code];
  };
  assertEquals(admitted("smtp", "192.0.2.9"), ["buffer", 2, undefined, undefined]);
  assertEquals(admitted("smtp", "::ffff:192.0.2.9"), ["buffer", 2, undefined, undefined]);
  for (const stranger of ["198.51.100.1", "2001:db8::1", "127.0.0.1", "::1", ""]) {
    assertEquals(admitted("smtp", stranger), ["stranger", 20, undefined, 554], stranger);
  }
  for (const service of ["submission", "submissions"] as const) {
    assertEquals(admitted(service, "198.51.100.1"), ["receiver", 7, 3, undefined]);
  }
  for (const service of ["pop3", "pop3s"] as const) {
    assertEquals(admitted(service, "198.51.100.1"), ["pop3", 500, undefined, undefined]);
  }
});

Deno.test("admit() lets everybody use every listener in the other modes", () => {
  for (const mode of ["direct", "intranet", "combined"] as const) {
    const config = configOf({ ...relay(mode), receivers: 7, receiversPerClient: 3 });
    for (const client of ["192.0.2.9", "198.51.100.1"]) {
      const { kind, limits, refusal } = admit(config, { service: "smtp", client });
      assertEquals([kind, limits, refusal], ["receiver", { total: 7, perClient: 3 }, undefined], mode);
    }
  }
});

Deno.test("in buffer mode a stranger is refused in the greeting, and QUIT is answered (RFC 5321 3.1)", async () => {
  await serving({ config: relay("buffer") }, async ({ connect, counters, hello }) => {
    const stranger = await connect("smtp");
    await stranger.expect(554, undefined, "5.7.1 Mail is taken here from this system's buffer host only");
    assertEquals([counters.sessions("stranger"), counters.sessions("receiver")], [1, 0]);
    await stranger.expect(503, "EHLO client.example.com");
    await stranger.expect(503, "MAIL FROM:<a@b.example>");
    await stranger.expect(221, "QUIT");
    assertEquals(await stranger.rest(), "");
    // Users go on as ever.
    await (await hello("submission")).expect(221, "QUIT");
  });
});

Deno.test("in buffer mode strangers are sent away after ten seconds, and cut off where there are many", async () => {
  await serving({ config: relay("buffer") }, async ({ connect, counters, clock, hello }) => {
    const silent = [];
    for (let i = 0; i < 20; i++) {
      const wire = await connect("smtp");
      await wire.expect(554);
      silent.push(wire);
    }
    const more = await (await connect("smtp")).rest();
    assert(more.startsWith("554 5.7.1 ") && more.endsWith("\r\n"), more);
    assertEquals(counters.sessions("stranger"), 20);
    const user = await hello("submission");
    await clock.advance(12_000);
    for (const wire of silent) assertEquals((await wire.rest()).slice(0, 9), "421 4.4.2");
    await until(() => counters.sessions("stranger") === 0);
    await user.expect(250, "NOOP");
  });
});

Deno.test("in buffer mode the buffer host has its own number of receivers", async () => {
  const config: ConfigPart = {
    relay: { mode: "buffer", buffer: { host: "buffer.example.net", acceptFrom: [OURS] } },
    receivers: 1,
  };
  await serving({ config }, async ({ greeted, connect, counters, clock }) => {
    const first = await greeted("smtp");
    assertEquals(
      await (await connect("smtp")).rest(),
      "421 4.3.2 All receivers are busy, please try again later\r\n",
    );
    // Neither takes the other's place.
    const user = await greeted("submission");
    assertEquals([counters.sessions("buffer"), counters.sessions("receiver")], [1, 1]);
    // The buffer host may keep its connection as long as any receiver.
    await clock.advance(4 * 60_000);
    await first.expect(250, "EHLO buffer.example.net");
    await first.expect(250, "MAIL FROM:<sender@example.com>");
    await first.expect(250, "RCPT TO:<alice@example.org>");
    await first.expect(221, "QUIT");
    const next = await greeted("smtp");
    await next.expect(221, "QUIT");
    await user.expect(221, "QUIT");
  });
});
