import { assertEquals } from "@std/assert";
import { handlingFor, type Receiver } from "../../../src/gateway/handling.ts";

Deno.test("handlingFor() passes through what the configuration and the receiver want whole, and breaks apart the rest", () => {
  const rules: readonly (readonly [Receiver, passthru: string, otherwise: string])[] = [
    [{ kind: "smtp" }, "whole", "apart"],
    [{ kind: "account", pop3: "P" }, "whole", "apart"],
    [{ kind: "account", pop3: "Y" }, "apart", "apart"],
    [{ kind: "account", pop3: "N" }, "apart", "apart"],
    [{ kind: "gateway", attachments: "whole" }, "whole", "whole"],
    [{ kind: "gateway", attachments: "apart" }, "apart", "apart"],
  ];
  for (const [receiver, passthru, otherwise] of rules) {
    const name = JSON.stringify(receiver);
    assertEquals(handlingFor(receiver, { passthru: true }), passthru, name);
    assertEquals(handlingFor(receiver, { passthru: false }), otherwise, name);
  }
});
