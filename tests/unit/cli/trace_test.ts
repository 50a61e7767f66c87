import { assertEquals } from "@std/assert";
import { traceMessage } from "../../../src/admin/trace.ts";
import { piecesTexts, receivedText } from "../../../src/cli/message_words.ts";
import { deliver, withUsers } from "../admin/fixtures.ts";

Deno.test("piecesTexts() and receivedText() tell how a message and its pieces belong together", async () => {
  const context = await withUsers("alice");
  const id = await deliver(context.store, context.clock, { to: "alice", text: "x\r\n" });
  const [message] = await traceMessage(context, id);
  assertEquals(piecesTexts(message!), []);
  assertEquals(piecesTexts({ ...message!, pieces: ["06jwx6kv0g"] }), [
    "passed on marked as damaged: 06jwx6kv0g",
  ]);
  assertEquals(piecesTexts({ ...message!, pieces: ["06jwx6kv0g", "06jwx6kv0h"] }), [
    "broken apart into 2 messages: 06jwx6kv0g, 06jwx6kv0h",
  ]);
  assertEquals(
    receivedText({ ...message!, pieceOf: { id: "06jwx6kv0f", place: "2/4" } }),
    "part 2/4 of message 06jwx6kv0f, which came then and was broken apart; what is known of the recipients is told " +
      "with that: emsmail trace 06jwx6kv0f",
  );
});

Deno.test("receivedText() knows mail that came by no connection", async () => {
  const context = await withUsers("alice");
  const id = await deliver(context.store, context.clock, { to: "alice", text: "x\r\n" });
  const [message] = await traceMessage(context, id);
  const here = { ...message!, client: "", helo: "mail.example.org" };
  assertEquals(receivedText({ ...here, account: "bob" }), "written here by bob");
  assertEquals(receivedText({ ...here, helo: "mhs", account: null }), "taken from the gateway mhs");
});
