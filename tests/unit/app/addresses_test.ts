import { assert, assertEquals, assertRejects } from "@std/assert";
import { claimAddresses } from "../../../src/app/addresses.ts";
import { claim, listen, type ListenAddress, ListenError } from "../../../src/net/listener.ts";

const NONE = { smtp: [], submission: [], submissions: [], pop3: [], pop3s: [] };

Deno.test("claimAddresses() claims what is configured, in the order of services, and turns empty lists off", async () => {
  assertEquals(await claimAddresses(NONE), []);
  const loopback = { host: "127.0.0.1", port: 0 };
  const claimed = await claimAddresses({ ...NONE, pop3: [loopback], smtp: [loopback, loopback] });
  assertEquals(claimed.map(({ service }) => service), ["smtp", "smtp", "pop3"]);
  for (const { address } of claimed) assert(address.host === "127.0.0.1" && address.port > 0);
});

Deno.test("claimAddresses() names a configured address that is in use", async () => {
  const address = await claim({ host: "127.0.0.1", port: 0 });
  const listener = await listen(address, () => {});
  await assertRejects(
    () => claimAddresses({ ...NONE, submission: [address] }),
    ListenError,
    `can't listen on 127.0.0.1:${address.port}: another program already does`,
  );
  await listener.close();
});

/** A system on which some ports can't be had. */
function system(refused: (port: number) => string | undefined) {
  const asked: number[] = [];
  const claim = (address: ListenAddress): Promise<ListenAddress> => {
    asked.push(address.port);
    const code = refused(address.port);
    return code === undefined ? Promise.resolve(address) : Promise.reject(new ListenError(address, code));
  };
  return { asked, claim };
}

const portsOf = (claimed: Awaited<ReturnType<typeof claimAddresses>>) =>
  claimed.map(({ service, address }) => `${service} ${address.host ?? "*"}:${address.port}`);

Deno.test("claimAddresses() takes the standard ports where nothing is configured", async () => {
  const { claim } = system(() => undefined);
  assertEquals(portsOf(await claimAddresses({}, claim)), [
    "smtp *:25",
    "submission *:587",
    "submissions *:465",
    "pop3 *:110",
    "pop3s *:995",
  ]);
});

Deno.test("claimAddresses() takes high ports where the low ones are root's", async () => {
  const { claim, asked } = system((port) => port < 1024 ? "EACCES" : undefined);
  assertEquals(portsOf(await claimAddresses({ pop3s: [] }, claim)), [
    "smtp *:2525",
    "submission *:2587",
    "submissions *:2465",
    "pop3 *:2110",
  ]);
  assertEquals(asked, [25, 2525, 587, 2587, 465, 2465, 110, 2110]);
});

Deno.test("claimAddresses() moves nowhere else from a port that is in use, or from a configured one", async () => {
  const inUse = system((port) => port === 25 ? "EADDRINUSE" : undefined);
  await assertRejects(
    () => claimAddresses({}, inUse.claim),
    ListenError,
    "can't listen on *:25: another program",
  );
  const high = system((port) => port < 1024 ? "EACCES" : port === 2525 ? "EADDRINUSE" : undefined);
  await assertRejects(() => claimAddresses({}, high.claim), ListenError, "can't listen on *:2525");
  const configured = system((port) => port < 1024 ? "EACCES" : undefined);
  await assertRejects(
    () => claimAddresses({ ...NONE, smtp: [{ host: "::1", port: 25 }] }, configured.claim),
    ListenError,
    "can't listen on [::1]:25: ports below 1024 need root",
  );
});
