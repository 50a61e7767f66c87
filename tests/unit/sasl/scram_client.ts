/** A SCRAM-SHA-256 client, written from RFC 5802 3 apart from the server's code, for tests. */
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { latin1, utf8 } from "../../../src/base/bytes.ts";

const mac = (key: Uint8Array, text: string): Uint8Array => createHmac("sha256", key).update(text).digest();
const base64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));

export interface ScramClientOptions {
  readonly user?: string;
  readonly password?: string;
  readonly gs2?: string;
  readonly nonce?: string;
}

export class ScramClient {
  readonly first: Uint8Array;
  readonly #bare: string;
  readonly #gs2: string;
  readonly #password: string;
  /** What the server must say at the end; set by {@linkcode final}. */
  expectedFinal = "";

  constructor(options: ScramClientOptions = {}) {
    this.#gs2 = options.gs2 ?? "n,,";
    this.#password = options.password ?? "pencil";
    this.#bare = `n=${options.user ?? "user"},r=${options.nonce ?? "fyko+d2lbbFgONRv9qkxdawL"}`;
    this.first = utf8(this.#gs2 + this.#bare);
  }

  /** The client-final-message; `change` may spoil its nonce or channel binding. */
  final(serverFirst: Uint8Array, change: { nonce?: string; binding?: string } = {}): Uint8Array {
    const text = latin1(serverFirst);
    const [, nonce, salt, iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(text)!;
    const saltBytes = Uint8Array.from(atob(salt!), (c) => c.charCodeAt(0));
    const salted = pbkdf2Sync(this.#password, saltBytes, Number(iterations), 32, "sha256");
    const binding = change.binding ?? base64(utf8(this.#gs2));
    const withoutProof = `c=${binding},r=${change.nonce ?? nonce}`;
    const authMessage = `${this.#bare},${text},${withoutProof}`;
    const clientKey = mac(salted, "Client Key");
    const signature = mac(createHash("sha256").update(clientKey).digest(), authMessage);
    const proof = clientKey.map((octet, i) => octet ^ signature[i]!);
    this.expectedFinal = `v=${base64(mac(mac(salted, "Server Key"), authMessage))}`;
    return utf8(`${withoutProof},p=${base64(proof)}`);
  }
}
