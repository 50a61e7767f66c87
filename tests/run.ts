/**
 * Runs the project's checks and tests and counts them.
 *
 *   deno run -A tests/run.ts check    format, lint, types, tests/tidy, tests/unit
 *   deno run -A tests/run.ts test     the same, then every other folder of tests, short runs of tests/fuzz, and the
 *                                     end-to-end tests: all of them on the binary, the core set on Deno
 *
 * Guarantees: the last line of standard output is `N passed, N failed`, with `, N skipped` after it where tests were
 * skipped; the exit code is 0 only where something ran and nothing failed. A test file that does not load and a suite that
 * ends without a report each count as a failure. Where EMSMAIL_RESULT_FILE names a file, that line is written there too.
 *
 * @module
 */

interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface Suite {
  /** Shown in front of its output. */
  readonly name: string;
  /** Folder or file given to `deno test`. */
  readonly path: string;
  readonly parallel?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/** How long each fuzz target runs, in seconds; by itself it runs as long as its --seconds says. */
const FUZZ_SECONDS = 8;

const root = new URL("..", import.meta.url).pathname;
const nothing: Count = { passed: 0, failed: 0, skipped: 0 };
const env: Record<string, string> = { DENO_NO_UPDATE_CHECK: "1", DENO_JOBS: "2" };
if (!Deno.stdout.isTerminal()) env.NO_COLOR = "1";

function add(a: Count, b: Count): Count {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

function deno(
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<Deno.CommandStatus> {
  return new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: root,
    env: { ...env, ...more },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
}

/** The counts in a JUnit report; steps of a test count as tests of their own. */
export function countReport(xml: string): Count {
  const cases = xml.match(/<testcase [^>]*?(?:\/>|>.*?<\/testcase>)/gs) ?? [];
  const failed = cases.filter((text) => /<(?:failure|error)[ >]/.test(text)).length;
  const skipped = cases.filter((text) => /<skipped[ />]/.test(text)).length;
  return { passed: cases.length - failed - skipped, failed, skipped };
}

/** One check that is a program's exit code. */
async function runCheck(name: string, args: readonly string[]): Promise<Count> {
  console.log(`\n== ${name}`);
  const { success } = await deno(args);
  if (!success) console.log(`${name}: FAILED (deno ${args.join(" ")})`);
  return success ? { ...nothing, passed: 1 } : { ...nothing, failed: 1 };
}

async function runSuite(suite: Suite): Promise<Count> {
  console.log(`\n== ${suite.name}`);
  const report = await Deno.makeTempFile({ prefix: "emsmail-report-", suffix: ".xml" });
  try {
    const args = ["test", "--allow-all", "--no-check", `--junit-path=${report}`];
    if (suite.parallel) args.push("--parallel", "--reporter=dot");
    const { success } = await deno([...args, suite.path], suite.env);
    const count = countReport(await Deno.readTextFile(report));
    return !success && count.failed === 0 ? add(count, { ...nothing, failed: 1 }) : count;
  } finally {
    await Deno.remove(report);
  }
}

/** A short run of every fuzz target. */
async function runFuzz(): Promise<Count> {
  let total = nothing;
  const targets = [...Deno.readDirSync(`${root}tests/fuzz`)].map((entry) => entry.name).filter((name) =>
    name.endsWith("_fuzz.ts")
  );
  for (const name of targets.sort()) {
    const args = ["run", "--allow-all", "--no-check", `tests/fuzz/${name}`, "--seconds", `${FUZZ_SECONDS}`];
    total = add(total, await runCheck(`fuzz ${name}`, args));
  }
  return total;
}

/** Folders of tests/ that hold test files, but for those that are run at their own place in the order. */
async function otherSuites(known: readonly string[]): Promise<Suite[]> {
  const suites: Suite[] = [];
  for await (const entry of Deno.readDir(`${root}tests`)) {
    if (!entry.isDirectory || known.includes(entry.name)) continue;
    if (await holdsTests(`${root}tests/${entry.name}`)) {
      suites.push({ name: entry.name, path: `tests/${entry.name}`, parallel: true });
    }
  }
  return suites.sort((a, b) => a.name.localeCompare(b.name));
}

async function holdsTests(folder: string): Promise<boolean> {
  for await (const entry of Deno.readDir(folder)) {
    if (entry.isFile && entry.name.endsWith("_test.ts")) return true;
    if (entry.isDirectory && await holdsTests(`${folder}/${entry.name}`)) return true;
  }
  return false;
}

async function main(what: string | undefined): Promise<number> {
  if (what !== "check" && what !== "test") {
    console.error('run.ts: say what to run, "check" or "test"');
    return 2;
  }
  let total = nothing;
  total = add(total, await runCheck("format", ["fmt", "--check", "--quiet"]));
  total = add(total, await runCheck("lint", ["lint", "--quiet"]));
  total = add(total, await runCheck("types", ["check", "--quiet", "main.ts", "src", "tests"]));
  const quick: Suite[] = [{ name: "tidy", path: "tests/tidy" }, {
    name: "unit",
    path: "tests/unit",
    parallel: true,
  }];
  const endToEnd: Suite[] = [
    { name: "end-to-end on dist/emsmail", path: "tests/e2e", env: { EMSMAIL_RUNTIME: "binary" } },
    { name: "end-to-end on Deno (core set)", path: "tests/e2e", env: { EMSMAIL_RUNTIME: "deno" } },
  ];
  for (const suite of quick) total = add(total, await runSuite(suite));
  if (what === "test") {
    for (const suite of await otherSuites(["tidy", "unit", "e2e", "bench"])) {
      total = add(total, await runSuite(suite));
    }
    total = add(total, await runFuzz());
    for (const suite of endToEnd) total = add(total, await runSuite(suite));
  }

  const line = `${total.passed} passed, ${total.failed} failed` +
    (total.skipped > 0 ? `, ${total.skipped} skipped` : "");
  const resultFile = Deno.env.get("EMSMAIL_RESULT_FILE");
  if (resultFile) await Deno.writeTextFile(resultFile, `${line}\n`);
  console.log(`\n${line}`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args[0]));
