import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import packet from "dns-packet";
import { createSocket } from "node:dgram";
import { Folder } from "./fixtures.ts";

/** A DNS server on loopback that gives these TXT records. */
async function dnsServer(records: ReadonlyMap<string, string>) {
  const socket = createSocket("udp4");
  socket.on("message", (message, from) => {
    const { id, questions } = packet.decode(message);
    const { name } = questions![0]!;
    const text = records.get(name.toLowerCase());
    const parts = text?.match(/.{1,255}/g) ?? [];
    const reply = packet.encode({
      type: "response",
      id,
      flags: text === undefined ? 0x8183 : 0x8180,
      questions,
      answers: text === undefined ? [] : [{ type: "TXT", name, ttl: 60, data: parts }],
    } as never);
    socket.send(reply, from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return {
    port: socket.address().port,
    close: () => new Promise<void>((resolve) => socket.close(() => resolve())),
  };
}

Deno.test("dkim add, list, show and remove", async () => {
  await using folder = await Folder.make();
  const added = await folder.run("dkim add example.org --selector mail");
  assertEquals([added.code, added.err], [0, ""]);
  assertMatch(
    added.out,
    /^Added keys for example\.org\. Publish in DNS:\n\nmail \(RSA 2048\)\n {2}Name: {6}mail\._domainkey\.example\.org\n {2}Type: {6}TXT\n {2}Value: {5}v=DKIM1; k=rsa; p=/,
  );
  assertStringIncludes(added.out, 'Zone file: maile._domainkey.example.org. IN TXT "v=DKIM1; k=ed25519; p=');
  assertStringIncludes(added.out, "emsmail dkim check example.org\n");
  assertEquals(/PRIVATE/.test(added.out), false);

  const list = await folder.run("dkim list");
  assertMatch(
    list.out,
    /^DOMAIN {7}SELECTOR {2}ALGORITHM {2}SIGNS {2}CREATED\nexample\.org {2}mail {6}RSA 2048 {3}yes /,
  );
  const keys = JSON.parse((await folder.run("dkim list --json")).out);
  assertEquals(keys.map((key: { selector: string }) => key.selector), ["mail", "maile"]);
  const show = await folder.run("dkim show example.org");
  assertStringIncludes(added.out, show.out);

  const asking = await folder.run("dkim remove example.org mail");
  assertEquals([asking.code, asking.out], [2, ""]);
  assertMatch(asking.err, /say --yes\n$/);
  const removed = await folder.run("dkim remove example.org mail --yes");
  assertEquals(
    removed.out,
    "Removed the key mail of example.org.\nMail of example.org is signed by maile.\n" +
      "Leave mail._domainkey.example.org in DNS for another week: mail on its way is still verified by it.\n",
  );
  assertMatch(
    (await folder.run("dkim remove example.org maile --yes")).out,
    /\nMail of example\.org is not signed any more\.\n/,
  );
  assertEquals(
    (await folder.run("dkim list")).out,
    "There are no signing keys yet. Make some with: emsmail dkim add DOMAIN\n",
  );
});

Deno.test("dkim add notes what may not have been meant, and refuses what can't be", async () => {
  await using folder = await Folder.make();
  const foreign = await folder.run("dkim add example.com --algorithm ed25519");
  assertEquals(foreign.code, 0);
  assertMatch(foreign.err, /^emsmail: note: example\.com is not a domain of this system \(example\.org\)/);
  const wrong = await folder.run("dkim add example.org --bits 1024");
  assertEquals([wrong.code, wrong.out], [2, ""]);
  assertMatch(wrong.err, /it may be 2048, 4096/);
  assertEquals((await folder.run("dkim add example.org --algorithm dsa")).code, 2);
});

Deno.test("dkim import reads a key file", async () => {
  await using folder = await Folder.make();
  const { makePrivateKey } = await import("../../../src/dkim/keys.ts");
  const file = `${folder.path}/key.pem`;
  await Deno.writeTextFile(file, await makePrivateKey("ed25519-sha256"));
  const added = await folder.run(["dkim", "import", "example.org", "old", file]);
  assertEquals([added.code, added.err], [0, ""]);
  assertMatch(added.out, /^Added a key for example\.org\. Publish in DNS:\n\nold \(Ed25519\)\n/);
  const missing = await folder.run(["dkim", "import", "example.org", "x", `${folder.path}/none`]);
  assertEquals(missing.code, 1);
  assertMatch(missing.err, /^emsmail: can't read .*; name the file that holds the private key\n$/);
  const config = await folder.run(["dkim", "import", "example.org", "x", folder.config]);
  assertEquals(config.code, 2);
  assertMatch(config.err, /not a private key in PEM/);
});

Deno.test("dkim check asks DNS and says what differs", async () => {
  await using folder = await Folder.make();
  const records = new Map<string, string>();
  const dns = await dnsServer(records);
  try {
    await Deno.writeTextFile(
      folder.config,
      `${await Deno.readTextFile(
        folder.config,
      )}dns: { servers: ["127.0.0.1:${dns.port}"], timeout: 1s }\n`,
    );
    await folder.run("dkim add example.org --selector mail");
    const [rsa, ed25519] = JSON.parse((await folder.run("dkim show example.org --json")).out);
    const absent = await folder.run("dkim check example.org");
    assertEquals(absent.code, 1);
    assertMatch(
      absent.out,
      /^mail \(RSA 2048\): not published\n {2}there is nothing at mail\._domainkey\.example\.org\n/,
    );
    assertMatch(absent.out, /\nWhat is to be published: emsmail dkim show example\.org\n$/);
    records.set(rsa.record.name, rsa.record.text);
    records.set(ed25519.record.name, "v=DKIM1; k=ed25519; p=");
    const half = await folder.run("dkim check example.org");
    assertEquals(half.code, 1);
    assertMatch(half.out, /^mail \(RSA 2048\): right\nmaile \(Ed25519\): wrong\n {2}its p= is empty/);
    records.set(ed25519.record.name, ed25519.record.text);
    const right = await folder.run("dkim check example.org");
    assertEquals(right, { code: 0, out: "mail (RSA 2048): right\nmaile (Ed25519): right\n", err: "" });
  } finally {
    await dns.close();
  }
  await folder.run("dkim remove example.org maile --yes");
  const { code, out } = await folder.run("dkim check example.org --json");
  assertEquals([code, JSON.parse(out)[0].verdict], [75, "unknown"]);
});
