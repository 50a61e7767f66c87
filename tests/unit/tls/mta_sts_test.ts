import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { mxMatches, parseStsPolicy, STS_POLICY_OCTETS, stsId } from "../../../src/tls/mta_sts.ts";

Deno.test("stsId() reads the one valid record", () => {
  assertEquals(stsId(["v=STSv1; id=20160831085700Z;"]), "20160831085700Z");
  assertEquals(stsId(["v=STSv1;id=a1"]), "a1");
  assertEquals(stsId(["v=STSv1 ; other=x ; id=a1 ; "]), "a1");
  assertEquals(stsId(["v=spf1 -all", "v=STSv1; id=a1"]), "a1");
});

Deno.test("stsId() takes no other", () => {
  const none = [
    [],
    ["v=STSv1"],
    ["v=STSv1; id="],
    ["v=STSv1; id=a-b"],
    [`v=STSv1; id=${"a".repeat(33)}`],
    ["id=a1; v=STSv1"],
    ["v=STSv2; id=a1"],
    ["v=STSv10; id=a1"],
    [" v=STSv1; id=a1"],
    ["v=STSv1; id=a1", "v=STSv1; id=a2"],
  ];
  for (const records of none) assertEquals(stsId(records), undefined, JSON.stringify(records));
});

const POLICY = "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.Example.net\nmax_age: 604800\n";

Deno.test("parseStsPolicy() reads a policy with either line end", () => {
  const rules = {
    mode: "enforce",
    mx: ["mail.example.com", "*.example.net"],
    maxAgeSeconds: 604800,
  } as const;
  assertEquals(parseStsPolicy(POLICY), rules);
  assertEquals(parseStsPolicy(POLICY.replaceAll("\n", "\r\n")), rules);
  assertEquals(parseStsPolicy(POLICY.trimEnd()), rules);
});

Deno.test("parseStsPolicy() passes unknown fields over and takes the first of two", () => {
  const more = `${POLICY}extra_field: x\nmode: none\nmax_age: 1\n\n`;
  assertEquals(parseStsPolicy(more), parseStsPolicy(POLICY));
});

Deno.test("parseStsPolicy() bounds max_age, and needs no mx with mode none", () => {
  const rules = parseStsPolicy("version: STSv1\nmode: none\nmax_age: 9999999999\n");
  assertEquals(rules, { mode: "none", mx: [], maxAgeSeconds: 31_557_600 });
});

Deno.test("parseStsPolicy() says what is wrong", () => {
  const wrong: [string, RegExp][] = [
    ["", /version/],
    [POLICY.replace("STSv1", "STSv2"), /version/],
    [POLICY.replace("enforce", "enforced"), /mode/],
    [POLICY.replace("604800", "-1"), /max_age/],
    [POLICY.replace("604800", "12345678901"), /max_age/],
    [POLICY.replaceAll(/mx:.*\n/g, ""), /no mx/],
    [POLICY.replace("mail.example.com", "mail.*.com"), /mx/],
    [POLICY.replace("mail.example.com", "*"), /mx/],
    [`<html>\n${POLICY}`, /key: value/],
    [POLICY + "x: ".padEnd(STS_POLICY_OCTETS, "y"), /longer/],
    [POLICY + "mx: a.test\n".repeat(1000), /1000/],
  ];
  for (const [text, pattern] of wrong) {
    const rules = parseStsPolicy(text);
    assertEquals(
      "error" in rules && pattern.test(rules.error),
      true,
      JSON.stringify([text.slice(0, 80), rules]),
    );
  }
});

Deno.test("mxMatches() takes a wildcard for exactly one label", () => {
  const patterns = ["mail.example.com", "*.example.net"];
  for (const host of ["mail.example.com", "MAIL.example.com.", "a.example.net"]) {
    assertEquals(mxMatches(host, patterns), true, host);
  }
  for (
    const host of ["x.mail.example.com", "example.net", "a.b.example.net", "aexample.net", "", ".", "com"]
  ) {
    assertEquals(mxMatches(host, patterns), false, host);
  }
});

Deno.test("parseStsPolicy() never throws, and gives no rules that break its own limits", () => {
  const line = fc.oneof(
    fc.constantFrom("version: STSv1", "mode: testing", "max_age: 10", "mx: *.a.test", "mx: b"),
    fc.string(),
  );
  fc.assert(fc.property(fc.array(line), fc.constantFrom("\n", "\r\n"), (lines, end) => {
    const rules = parseStsPolicy(lines.join(end));
    return "error" in rules || (rules.mx.length > 0 && rules.maxAgeSeconds <= 31_557_600);
  }));
});
