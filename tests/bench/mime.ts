/**
 * How fast a large message is taken apart, and what memory that takes: EMSmail's scanner beside postal-mime and mailparser
 * from npm, each in a process of its own on the same engine.
 *
 * The message has 50 MB and 200 attachments in base64, in a file. Each process reads it several times; printed are the
 * median pace and the highest resident memory, less what the process had before it began. Theirs decode as they go, so
 * EMSmail has two rows: *structure* finds the parts (what Break Apart needs), *decoded* hands every part's octets out as
 * well (what saving attachments needs). postal-mime takes a message in one piece only.
 *
 * @module
 */
import { spread, table } from "./load.ts";

/** Pinned; fetched beside this project by npm and never part of it. */
const PEERS = ["postal-mime@4.0.0", "mailparser@3.14.2"];
const ATTACHMENTS = 200;
const MESSAGE_OCTETS = 50 * 1000 * 1000;
const LINE = 76;

const ROWS = [
  { name: "EMSmail, structure", parser: "structure" },
  { name: "EMSmail, decoded", parser: "decoded" },
  { name: "postal-mime", parser: "postal-mime" },
  { name: "mailparser", parser: "mailparser" },
] as const;

/** What one process found out. */
interface Figures {
  readonly megabytesPerSecond: number;
  readonly memoryMegabytes: number;
  readonly attachments: number;
}

/** Measures, and gives the table. */
export async function measureMime(
  { folder, rounds }: { readonly folder: string; readonly rounds: number },
): Promise<string> {
  const message = `${folder}/large.eml`;
  await Deno.writeFile(message, largeMessage());
  const tools = new URL("../../.tools/", import.meta.url).pathname;
  await fetchPeers(`${tools}mime-peers`);
  const child = `${folder}/mime-child.mjs`;
  await run(`${tools}bin/esbuild`, [
    new URL("mime_child.ts", import.meta.url).pathname,
    "--bundle",
    "--platform=node",
    "--format=esm",
    `--outfile=${child}`,
    `--alias:@std/encoding=${
      new URL("../../node_modules/deno-std/encoding/mod.js", import.meta.url).pathname
    }`,
    "--external:postal-mime",
    "--external:mailparser",
    "--log-level=error",
  ], {});
  const figures = ROWS.map(() => [] as Figures[]);
  for (let round = 0; round < rounds; round++) {
    for (const [index, { parser }] of ROWS.entries()) {
      const said = await run(`${tools}bin/node`, ["--expose-gc", child, parser, message], {
        NODE_PATH: `${tools}mime-peers/node_modules`,
      });
      const found = JSON.parse(said) as Figures;
      if (found.attachments !== ATTACHMENTS) {
        throw new Error(`${parser} found ${found.attachments} attachments of ${ATTACHMENTS}`);
      }
      figures[index]!.push(found);
    }
    console.log(
      `mime, round ${round + 1}: ${
        figures.map((of) => of.at(-1)!.megabytesPerSecond.toFixed(0)).join(" / ")
      } MB/s`,
    );
  }
  return table(
    ["parser", "MB/s", "memory, MB"],
    ROWS.map(({ name }, index) => [
      name,
      spread(figures[index]!.map(({ megabytesPerSecond }) => megabytesPerSecond), 0),
      spread(figures[index]!.map(({ memoryMegabytes }) => memoryMegabytes), 1),
    ]),
  );
}

/** A text and attachments of equal size, whose octets repeat only after a while. */
function largeMessage(): Uint8Array {
  const encoder = new TextEncoder();
  const head = encoder.encode(
    "From: alice@example.org\r\nTo: bob@example.org\r\nSubject: large\r\nMIME-Version: 1.0\r\n" +
      'Content-Type: multipart/mixed; boundary="=_large_1"\r\n\r\n--=_large_1\r\n\r\nHere they are.\r\n',
  );
  const octets = Math.floor(MESSAGE_OCTETS / ATTACHMENTS);
  const parts: Uint8Array[] = [head];
  for (let number = 1; number <= ATTACHMENTS; number++) {
    parts.push(encoder.encode(
      `--=_large_1\r\nContent-Type: application/octet-stream; name="file-${number}.bin"\r\n` +
        `Content-Disposition: attachment; filename="file-${number}.bin"\r\nContent-Transfer-Encoding: base64\r\n\r\n`,
    ));
    parts.push(base64Lines(octets, number));
  }
  parts.push(encoder.encode("--=_large_1--\r\n"));
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

function base64Lines(octets: number, seed: number): Uint8Array {
  const lines = Math.floor(octets / (LINE + 2));
  const out = new Uint8Array(lines * (LINE + 2));
  let state = seed * 2654435761 >>> 0;
  for (let line = 0, at = 0; line < lines; line++) {
    for (let column = 0; column < LINE; column++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      out[at++] = ALPHABET.charCodeAt(state >>> 26);
    }
    out[at++] = 13;
    out[at++] = 10;
  }
  return out;
}

async function fetchPeers(folder: string): Promise<void> {
  try {
    await Deno.stat(`${folder}/node_modules/mailparser`);
  } catch {
    await Deno.mkdir(folder, { recursive: true });
    await run(
      "npm",
      ["install", "--prefix", folder, "--no-save", "--ignore-scripts", "--silent", ...PEERS],
      {},
    );
  }
}

async function run(program: string, args: string[], env: Record<string, string>): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, env, stdin: "null" }).output();
  if (!success) throw new Error(`${program} failed: ${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout);
}
