/**
 * The command line beside a running server: the same store from a second process.
 *
 * @module
 */
import { assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import {
  binary,
  e2e,
  e2eBare,
  emsmail,
  field,
  message,
  mustRun,
  PASSWORD,
  runProgram,
  Server,
  until,
} from "./harness.ts";

e2e("user add, list, set, remove work while the server runs", { core: "core" }, async (server) => {
  await server.addUser("carol", "--pop3", "P");
  await server.send({ to: "carol@example.test", data: message({ subject: "welcome" }) });
  await server.mail("carol", 1);
  const users = JSON.parse(await server.mustCli(["user", "list", "--json"])) as { name: string }[];
  assertEquals(users.map((user) => user.name), ["alice", "bob", "carol"]);
  assertStringIncludes(await server.mustCli(["user", "list"]), "carol");
  assertEquals(
    (await server.cli(["user", "add", "carol", "--password-stdin"], { stdin: "x-Y-z-12345\n" })).code,
    1,
  );
  await server.mustCli(["user", "remove", "carol", "--yes"]);
  const wire = await server.connect("smtp");
  await wire.expect(250, "EHLO client.example.test");
  await wire.expect(250, "MAIL FROM:<>");
  await wire.expect(550, "RCPT TO:<carol@example.test>", "5.1.1");
  wire.close();
});

e2e("mail list, read and delete", { core: "core" }, async (server) => {
  const data = message({ subject: "to be read", body: "The text of it.\r\n" });
  await server.send({ to: "alice@example.test", data });
  await server.mail("alice", 1);
  const listed = JSON.parse(await server.mustCli(["mail", "list", "--user", "alice", "--json"])) as Record<
    string,
    unknown
  >[];
  assertEquals(listed.length, 1);
  assertEquals(listed[0]!.subject, "to be read");
  const id = String(listed[0]!.id);
  assertStringIncludes(await server.mustCli(["mail", "list", "--user", "alice"]), "to be read");
  assertStringIncludes(await server.mustCli(["mail", "read", id, "--user", "alice"]), "The text of it.");
  const raw = await server.mustCli(["mail", "read", id, "--user", "alice", "--raw"]);
  assertEquals(raw.endsWith(data), true);
  await server.mustCli(["mail", "delete", id, "--user", "alice"]);
  assertEquals(await server.mail("alice", 0), []);
  assertEquals((await server.cli(["mail", "list", "--user", "nobody"])).code, 1);
});

e2e("trace tells a message's life", { core: "core" }, async (server) => {
  const data = message({ subject: "traced" });
  await server.send({ to: "alice@example.test", data });
  await server.mail("alice", 1);
  const messageId = field(data, "Message-ID")!;
  const shown = await server.mustCli(["trace", messageId]);
  for (const words of ["sender@elsewhere.test", "alice@example.test", "delivered"]) {
    assertStringIncludes(shown, words);
  }
  const [entry] = JSON.parse(await server.mustCli(["mail", "list", "--user", "alice", "--json"])) as {
    id: string;
  }[];
  JSON.parse(await server.mustCli(["trace", entry!.id, "--json"]));
  assertEquals((await server.cli(["trace", "<unheard-of@elsewhere.test>"])).code, 1);
  await server.untilOutput(new RegExp(entry!.id));
});

e2e("SIGHUP reloads the configuration and keeps sessions", {}, async (server) => {
  const kept = await server.pop3("alice");
  const smtp = await server.connect("smtp");
  server.config.limits = { messageBytes: 54_321 };
  await server.writeConfig();
  server.signal("SIGHUP");
  await until("the new size limit", async () => {
    const wire = await server.connect("smtp");
    const { lines } = await wire.expect(250, "EHLO client.example.test");
    wire.close();
    return lines.includes("SIZE 54321");
  });
  await kept.popOk("STAT");
  await kept.popOk("QUIT");
  kept.close();
  await smtp.expect(250, "NOOP");
  smtp.close();
  // A configuration that is wrong changes nothing.
  server.config.limits = { messageBites: 1 };
  await server.writeConfig();
  server.signal("SIGHUP");
  await server.untilOutput(/messageBites/);
  const wire = await server.connect("smtp");
  assertEquals((await wire.expect(250, "EHLO client.example.test")).lines.includes("SIZE 54321"), true);
  wire.close();
});

e2eBare("a misspelt setting is told with its line and a suggestion", { core: "core" }, async () => {
  const server = await Server.create({ users: [] });
  try {
    await Deno.writeTextFile(
      server.configFile,
      "hostname: mail.example.test\ndomains: [example.test]\nlimits:\n  mesageBytes: 1MiB\n",
    );
    const checked = await server.cli(["config", "check"]);
    assertNotEquals(checked.code, 0);
    const said = checked.stdout + checked.stderr;
    assertMatch(said, /:4\b/);
    assertStringIncludes(said, "messageBytes");
    assertNotEquals((await server.cli(["serve"])).code, 0);
    await server.writeConfig();
    assertEquals((await server.cli(["config", "check"])).code, 0);
  } finally {
    await server.remove();
  }
});

e2eBare("help, version and usage errors", { core: "core" }, async () => {
  const version = await mustRun([...emsmail(), "--version"]);
  assertMatch(version, /^emsmail \d+\.\d+\.\d+\n$/);
  assertMatch(await mustRun([...emsmail(), "version"]), /^emsmail \d+\.\d+\.\d+\nengine +(?:Node|Deno) \d/);
  assertStringIncludes(await mustRun([...emsmail(), "help", "user", "add"]), "--password-stdin");
  for (const args of [["nonsense"], ["user", "add"], ["serve", "--no-such"]]) {
    const ran = await runProgram([...emsmail(), ...args]);
    assertEquals(ran.code, 2, args.join(" "));
    assertMatch(ran.stderr, /^emsmail: /);
  }
  for (const shell of ["bash", "zsh", "fish"]) {
    assertStringIncludes(await mustRun([...emsmail(), "completions", shell]), "password-stdin");
  }
});

e2eBare("a password never appears in the files or the output", {}, async () => {
  const server = await Server.create();
  try {
    await server.start();
    const wire = await server.pop3("alice");
    await wire.popOk("QUIT");
    wire.close();
    await server.stop();
    assertEquals((await server.output()).includes(PASSWORD), false);
    for (const entry of Deno.readDirSync(server.data)) {
      if (!entry.isFile) continue;
      const text = new TextDecoder("latin1").decode(await Deno.readFile(`${server.data}/${entry.name}`));
      assertEquals(text.includes(PASSWORD), false, entry.name);
    }
    assertEquals(Deno.statSync(server.data).mode! & 0o077, 0, "others may look into the data folder");
  } finally {
    await server.remove();
  }
});

e2eBare("a second server on the same data is refused", {}, async () => {
  const server = await Server.create();
  try {
    await server.start();
    const second = await server.cli(["serve"]);
    assertNotEquals(second.code, 0);
    await server.stop();
  } finally {
    await server.remove();
  }
});

e2eBare("the binary alone in an empty folder works without configuration", {}, async () => {
  const folder = await Deno.makeTempDir({ prefix: "emsmail-alone-" });
  try {
    await Deno.copyFile(binary, `${folder}/emsmail`);
    await Deno.chmod(`${folder}/emsmail`, 0o755);
    await mustRun(["./emsmail", "user", "add", "alice", "--password-stdin"], {
      cwd: folder,
      stdin: `${PASSWORD}\n`,
      env: { HOME: folder },
    });
    const child = new Deno.Command("/bin/sh", {
      args: ["-c", "exec ./emsmail serve >log 2>&1"],
      cwd: folder,
      clearEnv: true,
      env: { HOME: folder },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    try {
      await until(
        "ready",
        async () => /^ready/m.test(await Deno.readTextFile(`${folder}/log`).catch(() => "")),
      );
      const log = await Deno.readTextFile(`${folder}/log`);
      for (const service of ["smtp", "submission", "submissions", "pop3", "pop3s"]) {
        assertMatch(log, new RegExp(`^${service} +\\S+:\\d+$`, "m"));
      }
    } finally {
      child.kill("SIGTERM");
      assertEquals((await child.status).code, 0, await Deno.readTextFile(`${folder}/log`));
    }
    assertEquals([...Deno.readDirSync(folder)].map((entry) => entry.name).sort(), [
      "emsmail",
      "emsmail-data",
      "log",
    ]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
