import { assertEquals } from "@std/assert";
import fc from "fast-check";
// @ts-types="../../../src/config/yaml.d.ts"
import { parse } from "@std/yaml";
import * as kinds from "../../../src/config/kinds.ts";
import { faultText, type Kind } from "../../../src/config/kinds.ts";

function value<T>(kind: Kind<T>, given: unknown): T {
  const reading = kind.read(given);
  if (!("value" in reading)) throw new Error(`${Deno.inspect(given)} was refused`);
  return reading.value;
}

/** What is said of a value that is refused, with the suggestion behind it. */
function refusal<T>(kind: Kind<T>, given: unknown): string {
  const reading = kind.read(given);
  if (!("faults" in reading)) throw new Error(`${Deno.inspect(given)} was taken`);
  return reading.faults.map((fault) =>
    (fault.index === undefined ? "" : `[${fault.index}] `) + faultText(fault) +
    (fault.suggestion === undefined ? "" : ` -> ${fault.suggestion}`)
  ).join("; ");
}

Deno.test("octets() reads sizes in powers of 1024", () => {
  const size = kinds.octets();
  assertEquals(
    ["50MiB", "64k", 1048576, "1048576", "1.5 GiB", "2G", "1T", 0].map((given) => value(size, given)),
    [52428800, 65536, 1048576, 1048576, 1610612736, 2 ** 31, 2 ** 40, 0],
  );
  assertEquals(
    refusal(size, "50MB"),
    "must be a size in octets such as 64k or 50MiB, not '50MB' -> 50MiB",
  );
  for (const given of ["", "k", "-1", -1, "1.3", "1e3k", "99999999T", null, [1], {}, true]) {
    refusal(size, given);
  }
  assertEquals(
    refusal(kinds.octets(1024), 1023),
    "must be a size in octets such as 64k or 50MiB, at least 1KiB, not '1023'",
  );
});

Deno.test("duration() reads days to seconds in that order", () => {
  const time = kinds.duration();
  assertEquals(
    ["5m", "90s", "1h30m", "2d", "1D2H3M4S", "0s", 0].map((given) => value(time, given)),
    [300_000, 90_000, 5_400_000, 172_800_000, 93_784_000, 0, 0],
  );
  assertEquals(refusal(time, 300), "must be a duration such as 90s, 5m or 2d, not '300' -> 300s");
  for (const given of ["", "m5", "5m1h", "5 m", "-5m", "1.5h", "9999d", null, [], new Date(0)]) {
    refusal(time, given);
  }
  assertEquals(
    refusal(kinds.duration(600_000, "because"), "9m"),
    "must be a duration such as 90s, 5m or 2d, at least 10m, not '9m': because",
  );
});

Deno.test("days reads whole days", () => {
  assertEquals([30, "30d", "720h"].map((given) => value(kinds.days, given)), [30, 30, 30]);
  for (const given of ["36h", 0, "0d", 1.5, "soon"]) refusal(kinds.days, given);
});

Deno.test("integer() reads whole numbers within its bounds", () => {
  const port = kinds.integer(1, 10);
  assertEquals([1, "10"].map((given) => value(port, given)), [1, 10]);
  assertEquals(refusal(port, 11), "must be a whole number from 1 to 10, not '11'");
  for (const given of [0, 1.5, "", "1a", NaN, true, null]) refusal(port, given);
  assertEquals(refusal(kinds.integer(0), -1), "must be a whole number of at least 0, not '-1'");
});

Deno.test("oneOf() takes its words, suggests the nearest, and says why a word can't be had", () => {
  const mode = kinds.oneOf(["direct", "intranet", "buffer"], { direct: "there is no network" });
  assertEquals(value(mode, "intranet"), "intranet");
  assertEquals(refusal(mode, "Intrnaet"), "must be intranet or buffer, not 'Intrnaet' -> intranet");
  assertEquals(refusal(mode, "direct"), "must be intranet or buffer, not 'direct': there is no network");
  assertEquals(value(kinds.oneOf(["1.2", "1.3"]), 1.2), "1.2");
});

Deno.test("orWord() takes the word beside the kind's values", () => {
  const threads = kinds.orWord("auto", kinds.integer(1));
  assertEquals([value(threads, "auto"), value(threads, 2)], ["auto", 2]);
  assertEquals(refusal(threads, "atuo"), "must be a whole number of at least 1 or auto, not 'atuo' -> auto");
});

Deno.test("yesNo reads what people write", () => {
  assertEquals([true, "yes", "On"].map((given) => value(kinds.yesNo, given)), [true, true, true]);
  assertEquals([false, "no", "OFF"].map((given) => value(kinds.yesNo, given)), [false, false, false]);
  for (const given of [0, 1, "y", null]) refusal(kinds.yesNo, given);
});

Deno.test("domain gives the canonical form", () => {
  assertEquals(value(kinds.domain, "Mail.EXAMPLE.org"), "mail.example.org");
  assertEquals(value(kinds.domain, "bücher.example"), "xn--bcher-kva.example");
  for (const given of ["", "a b", "-a.example", "a..b", null, "a\n"]) refusal(kinds.domain, given);
});

Deno.test("accountName takes a name with or without domain", () => {
  assertEquals(value(kinds.accountName, "Alice"), "alice");
  assertEquals(value(kinds.accountName, "Alice@Example.ORG"), "alice@example.org");
  for (const given of ["", "a b", "a@", "@b", "a@b c"]) refusal(kinds.accountName, given);
});

Deno.test("listenAddress takes IP addresses, names, * and ports alone", () => {
  const read = (given: unknown) => value(kinds.listenAddress, given);
  assertEquals(read("127.0.0.1:25"), { host: "127.0.0.1", port: 25 });
  assertEquals(read("[::1]:2525"), { host: "::1", port: 2525 });
  assertEquals(read("*:25"), { host: undefined, port: 25 });
  assertEquals(read(25), { host: undefined, port: 25 });
  assertEquals(read("localhost:0"), { host: "localhost", port: 0 });
  for (
    const given of [
      "",
      "x",
      ":25",
      "1.2.3:25",
      "1.2.3.256:25",
      "::1:25",
      "[1.2.3.4]:25",
      "a:65536",
      "a:-1",
      "[::1]",
    ]
  ) {
    refusal(kinds.listenAddress, given);
  }
});

Deno.test("cidr takes address blocks and single addresses", () => {
  assertEquals(value(kinds.cidr, "192.0.2.0/24"), { family: "ipv4", address: "192.0.2.0", prefixBits: 24 });
  assertEquals(value(kinds.cidr, "2001:db8::1"), { family: "ipv6", address: "2001:db8::1", prefixBits: 128 });
  for (const given of ["192.0.2.0/33", "::/129", "192.0.2.0/", "192.0.2.0/2/3", "example.org", 5]) {
    refusal(kinds.cidr, given);
  }
});

Deno.test("list() takes a single value, drops repetitions, and names each entry that is wrong", () => {
  const domains = kinds.list(kinds.domain, { name: "list", atLeast: 1 });
  assertEquals(value(domains, "a.example"), ["a.example"]);
  assertEquals(value(domains, ["a.example", "A.example", "b"]), ["a.example", "b"]);
  assertEquals(refusal(domains, []), "needs at least one entry, not an empty list");
  assertEquals(
    refusal(domains, ["a", "b c", 1, null]),
    "[1] must be a domain name such as mail.example.org, not 'b c'; " +
      "[3] must be a domain name such as mail.example.org, not nothing",
  );
});

Deno.test("shown() makes one short line without control characters of anything", () => {
  assertEquals(kinds.shown("a\u001b[31m\nb"), "'a b'");
  assertEquals(kinds.shown("x".repeat(100)), `'${"x".repeat(60)}…'`);
  // deno-lint-ignore no-control-regex -- control characters are what must not be there
  fc.assert(fc.property(fc.anything(), (thing) => !/[\u0000-\u001f\u007f-\u009f]/.test(kinds.shown(thing))));
});

const EVERY: readonly Kind<unknown>[] = [
  kinds.octets(),
  kinds.duration(),
  kinds.days,
  kinds.integer(0),
  kinds.oneOf(["1.2", "no", "some words"]),
  kinds.orWord("never", kinds.days),
  kinds.yesNo,
  kinds.domain,
  kinds.accountName,
  kinds.path,
  kinds.listenAddress,
  kinds.cidr,
  kinds.list(kinds.path, { name: "paths" }),
] as readonly Kind<unknown>[];

Deno.test("every kind reads anything without throwing", () => {
  fc.assert(fc.property(fc.constantFrom(...EVERY), fc.anything(), (kind, thing) => void kind.read(thing)));
});

Deno.test("every kind reads back through YAML what it writes", () => {
  const thing = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.stringMatching(/^[a-z0-9.:@/*+-]{1,12}$/),
    fc.constantFrom(
      "yes",
      "null",
      "~",
      "1.2",
      "0x10",
      "a: b",
      "a #b",
      "*:25",
      "[::1]:25",
      "[2001:db8::1]:25",
      "- x",
      "~x",
    ),
    fc.stringMatching(/^[0-9]{1,4}[dhmsk]$/),
    fc.nat(),
    fc.boolean(),
    fc.array(fc.string()),
  );
  fc.assert(
    fc.property(fc.constantFrom(...EVERY), thing, (kind, given) => {
      const reading = kind.read(given);
      if ("faults" in reading) return;
      const yaml = parse(`key: ${kind.write(reading.value)}`) as { key: unknown };
      assertEquals(kind.read(yaml.key), reading);
    }),
    { numRuns: 2000 },
  );
});
