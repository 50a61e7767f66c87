import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import {
  keyBits,
  KeyError,
  makePrivateKey,
  parseSelector,
  publicKeyText,
  readPrivateKey,
  recordName,
  recordText,
  usualSelector,
  zoneLine,
} from "../../../src/dkim/keys.ts";
import { comparePublished } from "../../../src/dkim/published.ts";
import { key } from "./fixtures.ts";

const RSA = key();
const ED25519 = key({ algorithm: "ed25519-sha256" });

Deno.test("makePrivateKey() makes PKCS #8 of the size asked for", async () => {
  assertMatch(RSA.privateKey, /^-----BEGIN PRIVATE KEY-----\n/);
  assertEquals([keyBits(RSA), keyBits(ED25519)], [2048, 256]);
  const short = await makePrivateKey("rsa-sha256", { bits: 1024 });
  assertEquals(keyBits({ algorithm: "rsa-sha256", privateKey: short }), 1024);
});

Deno.test("publicKeyText() is a SubjectPublicKeyInfo for RSA and bare for Ed25519", () => {
  const read = createPublicKey({
    key: Buffer.from(publicKeyText(RSA), "base64"),
    format: "der",
    type: "spki",
  });
  assertEquals(read.equals(createPublicKey(RSA.privateKey)), true);
  assertEquals(publicKeyText(ED25519).length, 44);
});

Deno.test("publicKeyText() gives the key of RFC 8463 A.1", () => {
  const seed = Buffer.from("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=", "base64");
  const der = Buffer.concat([Buffer.from("MC4CAQAwBQYDK2VwBCIEIA==", "base64"), seed]);
  const privateKey = `-----BEGIN PRIVATE KEY-----\n${der.toString("base64")}\n-----END PRIVATE KEY-----\n`;
  assertEquals(
    publicKeyText({ algorithm: "ed25519-sha256", privateKey }),
    "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
  );
});

Deno.test("recordText() and zoneLine() give a record ready to paste", () => {
  assertEquals(recordName(RSA), "r._domainkey.example.org");
  assertMatch(recordText(RSA), /^v=DKIM1; k=rsa; p=MII[A-Za-z0-9+/]+=*$/);
  assertMatch(
    zoneLine(recordName(ED25519), recordText(ED25519)),
    /^e\._domainkey\.example\.org\. IN TXT "v=DKIM1; k=ed25519; p=.{44}"$/,
  );
  const line = zoneLine(recordName(RSA), recordText(RSA));
  const strings = [...line.matchAll(/"([^"]*)"/g)].map((match) => match[1]!);
  assertEquals(strings.join(""), recordText(RSA));
  assertEquals(strings.map((each) => each.length <= 255), [true, true]);
  assertMatch(line, / IN TXT \( ".*" ".*" \)$/);
});

Deno.test("readPrivateKey() takes PKCS #8 and PKCS #1, and says what is wrong with others", () => {
  assertEquals(readPrivateKey(ED25519.privateKey), {
    algorithm: "ed25519-sha256",
    privateKey: ED25519.privateKey,
  });
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const pkcs1 = privateKey.export({ type: "pkcs1", format: "pem" }).toString();
  assertEquals(readPrivateKey(pkcs1).privateKey, privateKey.export({ type: "pkcs8", format: "pem" }));
  const wrong = (text: string, words: string) => assertThrows(() => readPrivateKey(text), KeyError, words);
  wrong("hello", "not a private key in PEM");
  wrong(publicKey.export({ type: "spki", format: "pem" }).toString(), "this is the public half");
  const small = generateKeyPairSync("rsa", { modulusLength: 512 }).privateKey;
  wrong(small.export({ type: "pkcs8", format: "pem" }).toString(), "512 bits");
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  wrong(ec.export({ type: "pkcs8", format: "pem" }).toString(), "not ec");
  wrong(
    privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" }).toString(),
    "passphrase",
  );
});

Deno.test("usualSelector() names the month, parseSelector() takes labels", () => {
  const atMs = Date.UTC(2026, 10, 24);
  assertEquals([usualSelector(atMs, "rsa-sha256"), usualSelector(atMs, "ed25519-sha256")], [
    "ems202611",
    "ems202611e",
  ]);
  assertEquals(["Mail", "a.b-c", "1"].map(parseSelector), ["mail", "a.b-c", "1"]);
  for (const text of ["", "-a", "a-", "a..b", "a_b", "a b", "é", "x".repeat(64), "a\r\nb"]) {
    assertEquals(parseSelector(text), undefined, text);
  }
});

Deno.test("comparePublished() tells a right record from each wrong one", () => {
  const right = recordText(RSA);
  const remarks = (...texts: string[]): string => {
    const { verdict, remarks } = comparePublished(RSA, texts);
    return `${verdict}: ${remarks.join(", ")}`;
  };
  assertEquals(remarks(right), "right: ");
  assertEquals(remarks("v=spf1 -all", right), "right: ");
  assertEquals(
    remarks(
      right.replace("k=rsa; ", "").replace(";", " ; h=sha1:sha256;s=email;").replace("p=MII", "p=M II"),
    ),
    "right: ",
  );
  assertMatch(remarks(`${right}; t=y`), /^right: it is marked t=y/);
  assertMatch(remarks("hello \u0007"), /^wrong: the TXT record there is not a DKIM key: "hello \?"$/);
  assertMatch(remarks(right, right), /^wrong: there are 2 keys/);
  assertMatch(remarks(recordText(ED25519)), /^wrong: it says k="ed25519" and the key is k=rsa/);
  assertMatch(remarks("v=DKIM1; p="), /withdrawn/);
  assertMatch(
    remarks(right.slice(0, 200)),
    /^wrong: its p= has 182 characters and should have 392: it was cut/,
  );
  assertMatch(remarks("v=DKIM1; p=MIGf"), /^wrong: it holds another key \([0-9a-f]{12}\)/);
  assertMatch(remarks(right.replace("DKIM1", "DKIM2")), /v="DKIM2"/);
  assertMatch(remarks(`${right}; h=sha1`), /its h= leaves out sha256/);
  assertMatch(remarks(`${right}; s=tlsrpt`), /its s= leaves out email/);
});
