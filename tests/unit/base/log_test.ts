import { constants, openSync, readFileSync, readSync } from "node:fs";
import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { getLogger, type LogRecord, resetSync } from "@logtape/logtape";
import { configureLogging, flushLog, formatJson, formatText, LogWriter } from "../../../src/base/log.ts";

const TIME_MS = Date.UTC(2026, 10, 24, 14, 5, 9, 123);

function record(
  properties: Record<string, unknown>,
  message: readonly unknown[] = ["message accepted"],
): LogRecord {
  return {
    category: ["emsmail", "smtp"],
    level: "info",
    message,
    rawMessage: message.length === 1 ? String(message[0]) : "{template}",
    timestamp: TIME_MS,
    properties,
  };
}

Deno.test("formatText() writes time, level, category, message and properties", () => {
  assertEquals(
    formatText(record({ id: "0abc", from: "<a@b>", to: "<c@d>", size: 123 })),
    "2026-11-24T14:05:09.123Z info smtp: message accepted id=0abc from=<a@b> to=<c@d> size=123\n",
  );
});

Deno.test("formatText() tells one second from the next", () => {
  const at = (timestamp: number) => formatText({ ...record({}), timestamp }).slice(0, 24);
  assertEquals(at(TIME_MS), "2026-11-24T14:05:09.123Z");
  assertEquals(at(TIME_MS + 877), "2026-11-24T14:05:10.000Z");
  assertEquals(at(TIME_MS - 120), "2026-11-24T14:05:09.003Z");
});

Deno.test("formatText() quotes what could be taken for something else and leaves out what is undefined", () => {
  const text = formatText(
    record({ a: "x y", b: "", c: 'q"', d: "k=v", e: undefined, f: null, g: "jörg", h: true }),
  );
  assertEquals(text.slice(text.indexOf(" a=")), ' a="x y" b="" c="q\\"" d="k=v" f=null g="jörg" h=true\n');
});

Deno.test("formatText() calls LogTape's warning warn and joins deeper categories", () => {
  const text = formatText({ ...record({}), level: "warning", category: ["emsmail", "store", "writer"] });
  assertEquals(text, "2026-11-24T14:05:09.123Z warn store.writer: message accepted\n");
});

Deno.test("formatText() keeps an error's stack on the line", () => {
  const text = formatText(record({ error: new Error("disk full") }));
  assertMatch(text, /error="Error: disk full\\n/);
  assertEquals(text.split("\n").length, 2);
});

Deno.test("formatText() and formatJson() put values that can't be written down as text", () => {
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  assertMatch(
    formatText(record({ circular, big: { n: 12n } })),
    /circular="\\"\(cannot be shown\)\\"" big="/,
  );
  const line = JSON.parse(formatJson(record({ circular, big: { n: 12n }, nan: NaN, bigint: 5n, list: [1] })));
  assertEquals([line.circular, line.big, line.nan, line.bigint, line.list], [
    "(cannot be shown)",
    { n: "12" },
    "NaN",
    "5",
    [1],
  ]);
});

Deno.test("formatText() and formatJson() make one line without control characters of anything", () => {
  // deno-lint-ignore no-control-regex -- control characters are what must not be there
  const unsafe = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
  const hostile = fc.string({ unit: "binary" });
  fc.assert(fc.property(hostile, hostile, fc.anything(), (key, value, thing) => {
    for (const format of [formatText, formatJson]) {
      const line = format(record({ [key]: value, value, thing, inside: { value } }, ["got ", value, ""]));
      assertEquals(line.indexOf("\n"), line.length - 1);
      assert(!unsafe.test(line), line);
    }
  }));
});

Deno.test("formatJson() gives an object with the properties beside its own keys", () => {
  assertEquals(
    JSON.parse(formatJson(record({ id: "0abc", size: 5, message: "theirs\r\n\u2028", level: true }))),
    {
      time: "2026-11-24T14:05:09.123Z",
      level: "info",
      category: "smtp",
      message: "message accepted",
      id: "0abc",
      size: 5,
      message_: "theirs\r\n\u2028",
      level_: true,
    },
  );
});

Deno.test("configureLogging() sends lines of its level and above to the file descriptor", () => {
  const file = Deno.makeTempFileSync();
  configureLogging({ format: "text", level: "warn", fd: openSync(file, "a") });
  getLogger(["emsmail", "pop3"]).info("not written");
  getLogger(["emsmail", "pop3"]).warn("maildrop taken over", { account: "alice" });
  assertEquals(readFileSync(file, "utf8"), "");
  flushLog();
  assertMatch(readFileSync(file, "utf8"), /^\S+Z warn pop3: maildrop taken over account=alice\n$/);
  resetSync();
});

Deno.test("LogWriter writes by itself after a moment, and at once when much waits", async () => {
  const file = Deno.makeTempFileSync();
  const writer = new LogWriter(openSync(file, "a"));
  writer.write("one\n");
  assertEquals(readFileSync(file, "utf8"), "");
  await new Promise((resolve) => setTimeout(resolve, 100));
  assertEquals(readFileSync(file, "utf8"), "one\n");
  const long = "x".repeat(70_000) + "\n";
  writer.write(long);
  assertEquals(readFileSync(file, "utf8"), "one\n" + long);
  writer.flush();
});

/** A pipe that nobody reads until told to, whose writer is told EAGAIN when it is full. */
function openPipe(): { fd: number; read: () => string } {
  const path = Deno.makeTempDirSync() + "/pipe";
  assert(new Deno.Command("mkfifo", { args: [path] }).outputSync().success);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const read = () => {
    let text = "";
    const part = new Uint8Array(65_536);
    try {
      for (;;) text += new TextDecoder().decode(part.subarray(0, readSync(fd, part)));
    } catch (error) {
      assertEquals((error as { code?: string }).code, "EAGAIN");
      return text;
    }
  };
  return { fd, read };
}

Deno.test("LogWriter keeps what a full pipe doesn't take, in whole lines and order", async () => {
  const { fd, read } = openPipe();
  const writer = new LogWriter(fd);
  let expected = "";
  for (let i = 0; i < 3000; i++) {
    const line = `${i} ${"x".repeat(i % 90)}\n`;
    expected += line;
    writer.write(line);
  }
  let got = "";
  for (let i = 0; i < 50 && got.length < expected.length; i++) {
    const part = read();
    // Pieces end where a line does, or lines of several threads would mix.
    assert(part === "" || part.endsWith("\n"));
    got += part;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assertEquals(got, expected);
  writer.flush();
});

Deno.test("LogWriter drops and counts lines that nobody reads, and says so when somebody does", async () => {
  const { fd, read } = openPipe();
  const writer = new LogWriter(fd);
  const line = "x".repeat(9_999) + "\n";
  for (let i = 0; i < 1000; i++) writer.write(line);
  let got = "";
  for (let i = 0; i < 400 && !got.includes("lost"); i++) {
    got += read();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const written = got.split("\n").filter((text) => text.startsWith("xxx")).length;
  const lost = Number(/warn log: lines lost because nobody read them count=(\d+)\n$/.exec(got)?.[1]);
  assert(lost > 0);
  assertEquals(written + lost, 1000);
  writer.flush();
});

Deno.test("LogWriter survives a descriptor that is gone", () => {
  const writer = new LogWriter(987_654);
  writer.write("nobody hears this\n");
  writer.flush();
  writer.write("nor this\n");
  writer.flush();
});
