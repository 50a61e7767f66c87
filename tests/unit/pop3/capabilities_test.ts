import { assertEquals } from "@std/assert";
import type { Pop3Settings } from "../../../src/pop3/session.ts";
import { replies } from "./conversation.ts";

/** The capabilities told at the end of a conversation. */
function capabilities(
  input: readonly string[],
  options: { readonly settings?: Partial<Pop3Settings>; readonly tls?: string } = {},
): string[] {
  const stretches = [...input];
  stretches[stretches.length - 1] += "CAPA\r\n";
  const text = replies(stretches, options);
  const start = text.lastIndexOf("+OK capability list follows\r\n");
  const lines = text.slice(start).split("\r\n");
  assertEquals(lines.slice(-2), [".", ""]);
  return lines.slice(1, -2);
}

const COMMON = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"];
const ALL = "SASL SCRAM-SHA-256 PLAIN LOGIN";
const LAST = ["UTF8 USER", "LANG", "EXPIRE NEVER", "IMPLEMENTATION EMSmail"];
const TLS_ONLY = { login: "tls-only" } as const;

Deno.test("CAPA lists what may be used where clear text is allowed", () => {
  assertEquals(capabilities([""]), [...COMMON, "USER", ALL, "STLS", ...LAST]);
});

Deno.test("CAPA without TLS announces no USER and only SCRAM where clear text is refused", () => {
  assertEquals(capabilities([""], { settings: TLS_ONLY }), [
    ...COMMON,
    "SASL SCRAM-SHA-256",
    "STLS",
    ...LAST,
  ]);
  const settings = { ...TLS_ONLY, mechanisms: ["PLAIN"] };
  assertEquals(capabilities([""], { settings }), [...COMMON, "STLS", ...LAST]);
});

Deno.test("CAPA under TLS announces USER and all mechanisms and no STLS", () => {
  const secured = [...COMMON, "USER", ALL, ...LAST];
  assertEquals(capabilities(["STLS\r\n", ""], { settings: TLS_ONLY }), secured);
  assertEquals(capabilities([""], { settings: { ...TLS_ONLY, stls: "none" }, tls: "TLSv1.3" }), secured);
});

Deno.test("CAPA announces no STLS after log-in, after UTF8 or where there is none", () => {
  const without = [...COMMON, "USER", ALL, ...LAST];
  assertEquals(capabilities(["USER a\r\nPASS secret\r\n"]), without);
  assertEquals(capabilities(["UTF8\r\n"]), without);
  assertEquals(capabilities([""], { settings: { stls: "none" } }), without);
});

Deno.test("CAPA tells EXPIRE and LOGIN-DELAY from the settings", () => {
  const list = capabilities([""], { settings: { expire: 30, loginDelaySeconds: 60 } });
  assertEquals(list.slice(-3), ["EXPIRE 30", "LOGIN-DELAY 60", "IMPLEMENTATION EMSmail"]);
});
