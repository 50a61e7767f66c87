/**
 * Pieces that messages are broken apart into, until something uses them. Each method runs inside the writer's transaction.
 *
 * Guarantees: a piece becomes a message when the first maildrop or recipient takes it, and that one's hold on it follows at
 * once; what nobody takes leaves nothing behind. One that is a message already stays as it is; one whose body went with the
 * last who had it gets it again.
 *
 * @module
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { formatMessageKey, type MessageKey } from "../../mail/message_id.ts";
import { type Piece, StoreError } from "../types.ts";
import type { References } from "./references.ts";

/** The statements pieces need, prepared once for all shelves. */
export class PieceStatements {
  readonly insert: StatementSync;
  readonly find: StatementSync;

  constructor(database: DatabaseSync) {
    this.insert = database.prepare(`
      INSERT INTO message (key, received_at, size, reverse_path, smtp_utf8, message_id, origin, refs, requests, piece_of,
        piece)
      SELECT ?, received_at, ?, reverse_path, smtp_utf8, ?, origin, 0, requests, key, ? FROM message WHERE key = ?`);
    this.find = database.prepare("SELECT refs, piece_of FROM message WHERE key = ?");
  }
}

/** The pieces of one transaction. */
export class PieceShelf {
  readonly #statements: PieceStatements;
  readonly #references: References;
  readonly #pieces: ReadonlyMap<MessageKey, Piece>;

  constructor(statements: PieceStatements, references: References, pieces: readonly Piece[]) {
    this.#statements = statements;
    this.#references = references;
    this.#pieces = new Map(pieces.map((piece) => [piece.key, piece]));
  }

  /** Makes sure that a piece of a message is there; the caller counts its hold. @throws {StoreError} `conflict` */
  take(key: MessageKey, of: MessageKey): void {
    const piece = this.#pieces.get(key);
    const found = this.#statements.find.get(key);
    const wholeOf = found === undefined ? piece?.of : found.piece_of;
    if (wholeOf !== of || (piece === undefined && found?.refs === 0)) {
      throw new StoreError(
        "conflict",
        `message ${formatMessageKey(key)} is no piece of message ${formatMessageKey(of)} that can be had`,
      );
    }
    if (piece === undefined || (found !== undefined && found.refs !== 0)) return;
    const { size, messageId, place, segments, own } = piece;
    if (found === undefined) this.#statements.insert.get(key, size, messageId, place, of);
    this.#references.compose({ key, size, segments }, own);
  }
}
