/** A greeting that refuses: RFC 5321 3.1 leaves the client QUIT and nothing else. */
import { assertEquals } from "@std/assert";
import { fromLatin1, latin1 } from "../../../src/base/bytes.ts";
import * as replies from "../../../src/smtp/replies.ts";
import { type SmtpEvent, SmtpSession, type SmtpSettings } from "../../../src/smtp/session.ts";
import { SETTINGS } from "./harness.ts";

/** The replies' codes and the events of a session that began with a refusal, whole and octet by octet. */
function refused(client: string, settings: Partial<SmtpSettings> = {}): [string[], SmtpEvent[]] {
  const [whole, octets] = [client.length, 1].map((size): [string[], SmtpEvent[]] => {
    const session = new SmtpSession({ ...SETTINGS, ...settings });
    session.greet(replies.notFromYou);
    const events: SmtpEvent[] = [];
    for (let at = 0; at < client.length; at += size) {
      session.receive(fromLatin1(client.slice(at, at + size)));
      for (let event = session.next(); typeof event !== "string"; event = session.next()) events.push(event);
    }
    const output = latin1(session.takeOutput()!).split("\r\n").slice(0, -1);
    return [output.map((line) => /^\d{3}(?: \d\.\d\.\d)?/.exec(line)![0]), events];
  });
  assertEquals(octets, whole);
  return whole!;
}

Deno.test("greet() with a refusal says it before any command", () => {
  const session = new SmtpSession(SETTINGS);
  session.greet(replies.notFromYou);
  assertEquals(latin1(session.takeOutput()!).slice(0, 10), "554 5.7.1 ");
  assertEquals(session.state, "refused");
});

Deno.test("after a refusing greeting every command but QUIT gets 503, and nothing happens", () => {
  const commands = [
    ...["EHLO x", "HELO x", "MAIL FROM:<>", "RCPT TO:<a@b.example>", "DATA", "RSET", "NOOP", "VRFY x"],
    ...["EXPN x", "HELP", "STARTTLS", "AUTH PLAIN"],
  ];
  assertEquals(refused(commands.map((command) => `${command}\r\n`).join("")), [
    ["554 5.7.1", ...commands.map(() => "503 5.5.1")],
    [],
  ]);
  assertEquals(refused("QUIT\r\nNOOP\r\n"), [["554 5.7.1", "221 2.0.0"], [{ kind: "close" }]]);
});

Deno.test("after a refusing greeting a chunk is swallowed, not taken for commands", () => {
  assertEquals(refused("BDAT 6 LAST\r\nNOOP\r\nQUIT\r\n"), [
    ["554 5.7.1", "503 5.5.1", "221 2.0.0"],
    [{ kind: "close" }],
  ]);
});

Deno.test("after a refusing greeting errors have an end too", () => {
  const [codes, events] = refused("NOOP\r\n".repeat(5), { errors: 2 });
  assertEquals(codes, ["554 5.7.1", "503 5.5.1", "503 5.5.1", "421 4.7.0"]);
  assertEquals(events, [{ kind: "close" }]);
});
