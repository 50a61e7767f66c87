/**
 * Gives a message to a command, one recipient at a time: the configuration's `gateways.pipe`.
 *
 * The command is started without a shell. In each of its words {to}, {from} and {id} are replaced, and a word stays one
 * word, whatever stands in it. Standard input is the message as it would go out by SMTP, without dot-stuffing. In the
 * environment stand PATH (/usr/local/bin:/usr/bin:/bin), EMSMAIL_GATEWAY, EMSMAIL_ID, EMSMAIL_FROM ("" for the null
 * reverse-path) and EMSMAIL_TO, and nothing else.
 *
 * Guarantees: what its exit code says is what the sender hears, by sysexits.h; being ended by a signal or by the end of
 * its time is a failure for now. A word that an address would turn into an option is never handed over: a recipient or sender
 * that begins with "-" is refused where the word is nothing but the address and no word "--" stands before it.
 *
 * @module
 */
import { stat } from "node:fs/promises";
import type { Clock } from "../../base/clock.ts";
import { printableText } from "../../base/printable.ts";
import { formatMessageKey } from "../../mail/message_id.ts";
import type { EnhancedCode } from "../../mail/reply.ts";
import type { Ran, Run } from "./process.ts";
import type { Carried, OutGateway, Portion } from "./types.ts";

type Pipe = Extract<OutGateway, { readonly kind: "pipe" }>;

/** Kept of what a command says, in octets: what a person reads. */
const OUTPUT_OCTETS = 4096;
/** Of its last line, in the sentence that the sender reads, in characters. */
const SAID_CHARACTERS = 200;
/** Where a program without slash is looked for, and what the command finds as PATH: not what the server was started with. */
const STANDARD_PATH = "/usr/local/bin:/usr/bin:/bin";

/** A file's mode: somebody may run it. */
const ANYBODY_RUNS = 0o111;

/** sysexits.h, with the codes of RFC 3463 for them; "later" is tried again. */
const EXITS: Readonly<
  Record<number, { readonly name: string; readonly means: string; readonly status: EnhancedCode | "later" }>
> = {
  64: { name: "EX_USAGE", means: "it was called in a wrong way", status: "5.3.5" },
  65: { name: "EX_DATAERR", means: "something is wrong with the message", status: "5.6.0" },
  66: { name: "EX_NOINPUT", means: "it could not open its input", status: "5.3.0" },
  67: { name: "EX_NOUSER", means: "nobody has that name there", status: "5.1.1" },
  68: { name: "EX_NOHOST", means: "there is no such host", status: "5.1.2" },
  69: { name: "EX_UNAVAILABLE", means: "a service is not available", status: "5.3.0" },
  70: { name: "EX_SOFTWARE", means: "it has an error in itself", status: "5.3.0" },
  // No fault of the message's, and sendmail's and Postfix's reading too.
  71: { name: "EX_OSERR", means: "the system lacks something, such as memory", status: "later" },
  72: { name: "EX_OSFILE", means: "a file of the system is missing", status: "5.3.0" },
  73: { name: "EX_CANTCREAT", means: "it could not make a file", status: "5.2.0" },
  74: { name: "EX_IOERR", means: "reading or writing failed", status: "5.3.0" },
  75: { name: "EX_TEMPFAIL", means: "it failed for now", status: "later" },
  76: { name: "EX_PROTOCOL", means: "the other side spoke strangely", status: "5.5.0" },
  77: { name: "EX_NOPERM", means: "it is not allowed", status: "5.7.1" },
  78: { name: "EX_CONFIG", means: "it is configured wrongly", status: "5.3.5" },
  // A shell's words for a program that isn't there: a mistake in the configuration must not send everybody's mail back.
  126: { name: "not executable", means: "a program it needs can't be run", status: "later" },
  127: { name: "not found", means: "a program it needs is not there", status: "later" },
};

/** Why the command can't be run now; undefined: it can, or it is to be found by PATH. */
export async function checkPipe({ command }: Pipe): Promise<string | undefined> {
  const program = command[0]!;
  if (!program.includes("/")) return undefined;
  try {
    const { mode } = await stat(program);
    // Not access(): under Deno it takes the right to know the user's number, and without it ends the server.
    if ((mode & ANYBODY_RUNS) !== 0) return undefined;
  } catch {
    // As below.
  }
  return `${program} is not there, or the server may not run it`;
}

/** Gives the message to the command. */
export async function pipe(
  gateway: Pipe,
  { message, recipients, reversePath, content }: Portion,
  how: { readonly run: Run; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Carried> {
  const to = recipients[0]!.name;
  const id = formatMessageKey(message.key);
  const words = wordsOf(gateway.command, { to, from: reversePath, id });
  if ("refused" in words) {
    const [what, enhanced] = words.refused === "to"
      ? ["recipient", "5.1.3"] as const
      : ["sender", "5.1.7"] as const;
    const text = `The ${what} begins with "-", which the gateway ${gateway.name} would take for an option`;
    return { kind: "failed", enhanced, text, dialogue: [] };
  }
  const ran = await how.run(words.words, {
    env: {
      PATH: STANDARD_PATH,
      EMSMAIL_GATEWAY: gateway.name,
      EMSMAIL_ID: id,
      EMSMAIL_FROM: reversePath,
      EMSMAIL_TO: to,
    },
    input: content.parts(),
    timeoutMs: gateway.timeoutMs,
    clock: how.clock,
    signal: how.signal,
    outputOctets: OUTPUT_OCTETS,
  });
  return judge(ran, gateway, { octets: content.size });
}

/** The command's words with their values, or whose address would become an option. */
export function wordsOf(
  command: readonly string[],
  values: { readonly to: string; readonly from: string; readonly id: string },
): { readonly words: readonly string[] } | { readonly refused: "to" | "from" } {
  const words: string[] = [];
  let mayBeOption = true;
  for (const template of command) {
    const word = template.replace(/\{(to|from|id)\}/g, (_, name: keyof typeof values) => values[name]);
    if (mayBeOption && word.startsWith("-") && !template.startsWith("-")) {
      return { refused: template.startsWith("{from}") && values.from !== "" ? "from" : "to" };
    }
    // What follows is no option, by the convention of all programs that read options.
    if (template === "--") mayBeOption = false;
    words.push(word);
  }
  return { words };
}

/** What an end of the command means. */
function judge(
  ran: Ran,
  { name, command, timeoutMs }: Pipe,
  { octets }: { readonly octets: number },
): Carried {
  // The words may hold what nobody should read in a record of tries: only the program is named, and that to operators alone.
  const began = `started ${command[0]} for a message of ${octets} octets`;
  if (ran.kind === "not-started") {
    return { kind: "deferred", text: ran.reason, dialogue: [ran.reason] };
  }
  const output = printableText(new TextDecoder().decode(ran.output)).trim();
  const said = output === "" ? [] : output.split("\n").map((line) => `< ${line}`);
  const end = (text: string, verdict: Omit<Carried, "text" | "dialogue">): Carried => ({
    ...verdict,
    text: `the command of the gateway ${name} ${text}`,
    dialogue: [began, ...said, `it ${text}`],
  });
  const deferred = { kind: "deferred" } as const;
  switch (ran.kind) {
    case "timeout":
      return end(`did not end in time (${Math.round(timeoutMs / 1000)} seconds)`, deferred);
    case "stopped":
      return end("was ended because the server stops", deferred);
    case "signal":
      return end(`was ended by ${ran.signal}`, deferred);
    case "no-input":
      return end(`was ended because the message could not be read: ${ran.reason}`, deferred);
    case "exit":
      break;
  }
  if (ran.code === 0) return end("took it (exit code 0)", { kind: "handed" });
  const known = EXITS[ran.code];
  const lastLine = output.split("\n").at(-1)!.slice(0, SAID_CHARACTERS);
  const why = `${known === undefined ? "" : `, ${known.name}: ${known.means}`}`;
  const text = `ended with exit code ${ran.code}${why}${lastLine === "" ? "" : `; it said: ${lastLine}`}`;
  const status = known?.status ?? "5.3.0";
  return status === "later" ? end(text, deferred) : end(text, { kind: "failed", enhanced: status });
}
