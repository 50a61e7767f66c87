import { assertEquals, assertRejects } from "@std/assert";
import { AdminError } from "../../../src/admin/error.ts";
import * as reports from "../../../src/admin/reports.ts";
import { concat, decodeUtf8, latin1, utf8 } from "../../../src/base/bytes.ts";
import { type Fixture, withUsers } from "./fixtures.ts";

async function* content(...parts: readonly (string | Uint8Array)[]): AsyncIterable<Uint8Array> {
  for (const part of parts) yield typeof part === "string" ? utf8(part) : part;
}

function put(
  context: Fixture,
  report: Partial<reports.NewReport> & { readonly text?: string },
): Promise<reports.ReportView> {
  const { text = "1TITLE\n LINE\n", ...rest } = report;
  return reports.putReport(context, {
    name: "SALES",
    fileName: "sales.lst",
    content: content(text),
    ...rest,
  });
}

async function octetsOf({ parts }: reports.ReportFile): Promise<Uint8Array> {
  return concat(await Array.fromAsync(parts));
}

Deno.test("putReport() keeps a file octet for octet, however large and however it comes", async () => {
  const context = await withUsers("alice");
  const octets = Uint8Array.from({ length: 700_001 }, (_, i) => (i * 7 + (i >> 8)) & 255);
  const parts = [octets.subarray(0, 1), octets.subarray(1, 300_000), octets.subarray(300_000)];
  const kept = await put(context, {
    fileName: "/tmp/data.bin",
    content: content(...parts),
    carriage: "none",
  });
  assertEquals([kept.version, kept.file, kept.bytes, kept.carriage], [1, "data.bin", 700_001, "none"]);
  const file = await reports.openReport(context, "sales");
  assertEquals([file.bytes, file.type], [700_001, "application/octet-stream"]);
  assertEquals(await octetsOf(file), octets);
});

Deno.test("putReport() keeps an empty file", async () => {
  const context = await withUsers();
  await put(context, { text: "" });
  assertEquals(await octetsOf(await reports.openReport(context, "SALES")), new Uint8Array());
});

Deno.test("putReport() numbers versions, and each is kept", async () => {
  const context = await withUsers();
  await put(context, { text: "one" });
  assertEquals((await put(context, { text: "two" })).version, 2);
  assertEquals((await reports.showReport(context, "SALES")).map(({ version }) => version), [2, 1]);
  assertEquals(decodeUtf8(await octetsOf(await reports.openReport(context, "SALES"))), "two");
  const first = await reports.openReport(context, "SALES", { version: 1 });
  assertEquals(decodeUtf8(await octetsOf(first)), "one");
  await assertRejects(
    () => reports.openReport(context, "SALES", { version: 3 }),
    AdminError,
    "SALES has no version 3",
  );
});

Deno.test("putReport() renders carriage control as text and PDF", async () => {
  const context = await withUsers();
  assertEquals((await put(context, {})).carriage, "asa");
  const text = await reports.openReport(context, "SALES", { as: "text" });
  assertEquals([text.fileName, text.type], ["sales.txt", "text/plain; charset=utf-8"]);
  assertEquals(decodeUtf8(await octetsOf(text)), "TITLE\r\nLINE\r\n");
  const pdf = await reports.openReport(context, "SALES", { as: "pdf" });
  assertEquals(pdf.fileName, "sales.pdf");
  assertEquals(latin1((await octetsOf(pdf)).subarray(0, 8)), "%PDF-1.4");
  assertEquals(decodeUtf8(await octetsOf(await reports.openReport(context, "SALES"))), "1TITLE\n LINE\n");
});

Deno.test("openReport() has nothing to render without carriage control", async () => {
  const context = await withUsers();
  await put(context, { text: "plain\n" });
  await assertRejects(
    () => reports.openReport(context, "SALES", { as: "pdf" }),
    AdminError,
    "SALES has no carriage control",
  );
});

Deno.test("a report is for its owner and readers only, and others don't learn of it", async () => {
  const context = await withUsers("alice", "bob", "carol");
  await put(context, { owner: "alice", readers: ["bob"] });
  await put(context, { name: "OPEN" });
  const names = async (user?: string) =>
    (await reports.listReports(context, { user })).map(({ name }) => name);
  assertEquals(await names(), ["OPEN", "SALES"]);
  assertEquals(await names("alice"), ["OPEN", "SALES"]);
  assertEquals(await names("bob"), ["OPEN", "SALES"]);
  assertEquals(await names("carol"), ["OPEN"]);
  await reports.openReport(context, "SALES", { user: "bob" });
  const refused = () => reports.openReport(context, "SALES", { user: "carol" });
  const absent = () => reports.openReport(context, "NOTHING", { user: "carol" });
  assertEquals(
    (await assertRejects(refused, AdminError)).message.replace("SALES", "X"),
    (await assertRejects(absent, AdminError)).message.replace("NOTHING", "X"),
  );
});

Deno.test("putReport() leaves title, owner and readers as they were unless it is told others", async () => {
  const context = await withUsers("alice", "bob");
  await put(context, { title: "By region", owner: "alice", readers: ["bob"] });
  const second = await put(context, {});
  assertEquals([second.title, second.owner, second.readers], ["By region", "alice", ["bob"]]);
  const third = await put(context, { title: "", owner: "bob", readers: "everyone" });
  assertEquals([third.title, third.owner, third.readers], ["", "bob", "everyone"]);
});

Deno.test("putReport() refuses names, owners and readers that can't be, and leaves nothing", async () => {
  const context = await withUsers("alice");
  await assertRejects(() => put(context, { name: "../x" }), AdminError, "can't be a report's name");
  await assertRejects(() => put(context, { name: "" }), AdminError, "can't be a report's name");
  await assertRejects(() => put(context, { owner: "nobody" }), AdminError, "there is no account nobody");
  await assertRejects(() => put(context, { readers: ["nobody"] }), AdminError, "there is no account nobody");
  assertEquals(await reports.listReports(context), []);
});

Deno.test("putReport() refuses a file that no message could carry", async () => {
  const context = await withUsers();
  const large = Object.assign(context, {
    config: { ...context.config, limits: { ...context.config.limits, messageBytes: 2000 } },
  });
  await assertRejects(() => put(large, { text: "x".repeat(1500) }), AdminError, "is larger than 1461 octets");
  assertEquals(await reports.listReports(context), []);
});

Deno.test("removeReport() takes out one version or all", async () => {
  const context = await withUsers();
  await put(context, {});
  await put(context, {});
  assertEquals(await reports.removeReport(context, "SALES", 1), 1);
  assertEquals((await reports.showReport(context, "SALES")).map(({ version }) => version), [2]);
  assertEquals(await reports.removeReport(context, "sales"), 1);
  await assertRejects(() => reports.showReport(context, "SALES"), AdminError, "there is no report SALES");
  await assertRejects(() => reports.removeReport(context, "SALES"), AdminError, "there is no report SALES");
});

Deno.test("attachableReport() gives what the configuration says", async () => {
  const context = await withUsers("alice");
  await put(context, {});
  assertEquals((await reports.attachableReport(context, "sales", "alice")).fileName, "sales.txt");
  const pdf = { ...context, config: { ...context.config, report: { render: "pdf" as const } } };
  assertEquals((await reports.attachableReport(pdf, "sales", "alice")).fileName, "sales.pdf");
});
