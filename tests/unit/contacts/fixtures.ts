/**
 * Entries for round trips, of everything that an entry may hold.
 *
 * @module
 */
import fc from "fast-check";
import type { Contact, ContactFile } from "../../../src/contacts/contact.ts";
import { utf8 } from "../../../src/base/bytes.ts";

export const octets = (text: string): Uint8Array => new Uint8Array(utf8(text));

/** What a file holds, without line numbers, and with what is empty left out: writing doesn't tell these apart. */
export function entriesOf({ contacts }: ContactFile): Contact[] {
  return contacts.map(({ line: _, ...contact }) => withoutEmpty(contact));
}

export function withoutEmpty(contact: Contact): Contact {
  return Object.fromEntries(Object.entries(contact).filter(([, value]) => value !== "")) as Contact;
}

/** Texts of one line that have no blanks around them. */
const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.constantFrom(
    "=1+1",
    "'=1",
    "+49 30 1234",
    "-x",
    "@x",
    "a;b,c\\d",
    'say "hi"',
    "# no",
    ": x",
    "< y",
    "Ünal, Ayşe",
  ),
  // deno-lint-ignore no-control-regex -- control characters are what no entry has
).map((given) => given.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\ufeff]/g, "").trim());

const name = fc.stringMatching(/^[a-z][a-z0-9._&=#~-]{0,15}$/);
const address = fc.oneof(
  fc.tuple(name, fc.constantFrom("example.com", "mhs.example.org")).map((parts) => parts.join("@")),
  fc.constantFrom('"a;b c"@example.com', '"q\\"u,o+te"@example.com', "grün@example.com"),
);
const identity = { name, displayName: text, department: text, phone: text };

export const contact: fc.Arbitrary<Contact> = fc.oneof(
  fc.record({ kind: fc.constant("user" as const), ...identity, address }),
  fc.record({ kind: fc.constant("shadow" as const), ...identity, address, inbound: fc.boolean() }),
  fc.record({
    kind: fc.constant("list" as const),
    ...identity,
    members: fc.array(address, { maxLength: 5 }),
    owner: fc.option(address, { nil: undefined }),
  }),
);

/** Several, each with a name of its own. */
export const contacts: fc.Arbitrary<Contact[]> = fc.uniqueArray(contact, {
  maxLength: 8,
  selector: (one) => one.name,
}).map((all) => all.map((one) => withoutEmpty({ ...one, ...one.owner === undefined ? { owner: "" } : {} })));

/** Debian's, which has the packages of `.ci/clients`. */
const PYTHON = "/usr/bin/python3";

/** Whether Python is there with these modules, to read what was written. */
export async function hasPython(...modules: string[]): Promise<boolean> {
  try {
    const args = ["-c", `import ${["json", ...modules].join(",")}`];
    return (await new Deno.Command(PYTHON, { args, stderr: "null" }).output()).success;
  } catch {
    return false;
  }
}

/** Runs a Python program with `input` on its standard input and gives the JSON that it prints. */
export async function python(program: string, input: string): Promise<unknown> {
  const child = new Deno.Command(PYTHON, {
    args: ["-c", program],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(octets(input));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}
