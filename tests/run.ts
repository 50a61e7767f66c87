/**
 * Runs the project's checks and tests and counts them.
 *
 *   deno run -A tests/run.ts check    format, lint, types, tests/tidy, tests/unit
 *   deno run -A tests/run.ts test     the same, then every other folder of tests, short runs of tests/fuzz, and the
 *                                     end-to-end tests: all of them on the binary, the core set on Deno
 *
 * Guarantees: the last line of standard output is `N passed, N failed`, with `, N skipped` after it where tests were
 * skipped; the exit code is 0 only where something ran and nothing failed. A test file that does not load, a suite that
 * ends without a report and one that does not end in time each count as a failure. Where EMSMAIL_RESULT_FILE names a file,
 * that line is written there too. A suite's own output is shown where something in it failed.
 *
 * @module
 */

interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface Suite {
  /** Folder given to `deno test`. */
  readonly path: string;
  /** Shown beside the path. */
  readonly note?: string;
  /** Whether each test is shown as it ends, or the files run beside each other and only failures are shown. */
  readonly output: "each-test" | "failures";
  /** After so many seconds it is ended and counted as a failure. */
  readonly limitSeconds: number;
  readonly env?: Readonly<Record<string, string>>;
}

interface Ran {
  readonly success: boolean;
  /** What it printed, where that was not shown already. */
  readonly output: string;
  readonly seconds: number;
}

const CHECK_SECONDS = 150;
const END_TO_END_SECONDS = 1500;
/** How long each fuzz target runs; by itself it runs as long as its --seconds says. */
const FUZZ_SECONDS = 8;

const root = new URL("..", import.meta.url).pathname;
const nothing: Count = { passed: 0, failed: 0, skipped: 0 };
const environment: Record<string, string> = { DENO_NO_UPDATE_CHECK: "1", DENO_JOBS: "2" };
if (!Deno.stdout.isTerminal()) environment.NO_COLOR = "1";

function add(a: Count, b: Count): Count {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/** Runs Deno to its end, or to the end of its time. */
async function deno(args: readonly string[], options: Omit<Suite, "path">): Promise<Ran> {
  const shown = options.output === "each-test";
  const begun = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: root,
    env: { ...environment, ...options.env },
    stdin: "null",
    stdout: shown ? "inherit" : "piped",
    stderr: shown ? "inherit" : "piped",
  }).spawn();
  let late = "";
  const timer = setTimeout(() => {
    late = `not done after ${options.limitSeconds} s, and so ended\n`;
    child.kill("SIGKILL");
  }, options.limitSeconds * 1000);
  const read = async (stream: ReadableStream<Uint8Array>) => await new Response(stream).text();
  const printed = shown ? ["", ""] : await Promise.all([read(child.stdout), read(child.stderr)]);
  const { success } = await child.status;
  clearTimeout(timer);
  return { success, output: `${printed.join("")}${late}`, seconds: (performance.now() - begun) / 1000 };
}

/** The counts in a JUnit report; steps of a test count as tests of their own. */
export function countReport(xml: string): Count {
  const cases = xml.match(/<testcase [^>]*?(?:\/>|>.*?<\/testcase>)/gs) ?? [];
  const failed = cases.filter((text) => /<(?:failure|error)[ >]/.test(text)).length;
  const skipped = cases.filter((text) => /<skipped[ />]/.test(text)).length;
  return { passed: cases.length - failed - skipped, failed, skipped };
}

/** `12 passed, 0 failed`, and what was skipped where something was. */
export function countLine(count: Count): string {
  const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : "";
  return `${count.passed} passed, ${count.failed} failed${skipped}`;
}

function report(name: string, { count, ran }: { readonly count: Count; readonly ran: Ran }): Count {
  if (count.failed > 0) console.log(ran.output);
  console.log(`${name}: ${countLine(count)} (${ran.seconds.toFixed(1)} s)`);
  return count;
}

/** One check that is a program's exit code. */
async function runCheck(name: string, args: readonly string[]): Promise<Count> {
  const ran = await deno(args, { output: "failures", limitSeconds: CHECK_SECONDS });
  const count = ran.success ? { ...nothing, passed: 1 } : { ...nothing, failed: 1 };
  return report(name, { count, ran });
}

async function runSuite(suite: Suite): Promise<Count> {
  const name = suite.note === undefined ? suite.path : `${suite.path} ${suite.note}`;
  const file = await Deno.makeTempFile({ prefix: "emsmail-report-", suffix: ".xml" });
  try {
    const args = ["test", "--allow-all", "--no-check", `--junit-path=${file}`];
    if (suite.output === "failures") args.push("--parallel");
    const ran = await deno([...args, suite.path], suite);
    const counted = countReport(await Deno.readTextFile(file));
    const count = !ran.success && counted.failed === 0 ? add(counted, { ...nothing, failed: 1 }) : counted;
    return report(name, { count, ran });
  } finally {
    await Deno.remove(file);
  }
}

/** A short run of every fuzz target. */
async function runFuzz(): Promise<Count> {
  let total = nothing;
  const names = [...Deno.readDirSync(`${root}tests/fuzz`)].map((entry) => entry.name);
  for (const name of names.filter((name) => name.endsWith("_fuzz.ts")).sort()) {
    const path = `tests/fuzz/${name}`;
    const args = ["run", "--allow-all", "--no-check", path, "--seconds", `${FUZZ_SECONDS}`];
    total = add(total, await runCheck(path, args));
  }
  return total;
}

/** The folders inside a folder that hold test files, as suites, but for those `except`ed. */
function suitesIn(folder: string, except: readonly string[] = []): Suite[] {
  return [...Deno.readDirSync(`${root}${folder}`)]
    .filter((entry) => entry.isDirectory && !except.includes(entry.name))
    .map((entry) => `${folder}/${entry.name}`)
    .filter(holdsTests)
    .sort()
    .map((path) => ({ path, output: "failures", limitSeconds: CHECK_SECONDS }));
}

function holdsTests(folder: string): boolean {
  return [...Deno.readDirSync(`${root}${folder}`)].some((entry) =>
    entry.isDirectory ? holdsTests(`${folder}/${entry.name}`) : entry.name.endsWith("_test.ts")
  );
}

/** The end-to-end tests run one after another: some measure time and memory. */
function endToEnd(runtime: "binary" | "deno", note: string): Suite {
  return {
    path: "tests/e2e",
    note,
    output: "each-test",
    limitSeconds: END_TO_END_SECONDS,
    env: { EMSMAIL_RUNTIME: runtime },
  };
}

async function main(what: string | undefined): Promise<number> {
  if (what !== "check" && what !== "test") {
    console.error('run.ts: say what to run, "check" or "test"');
    return 2;
  }
  let total = nothing;
  total = add(total, await runCheck("format", ["fmt", "--check"]));
  total = add(total, await runCheck("lint", ["lint"]));
  total = add(total, await runCheck("types", ["check", "main.ts", "src", "tests"]));
  const tidy: Suite = { path: "tests/tidy", output: "failures", limitSeconds: CHECK_SECONDS };
  const suites = [tidy, ...suitesIn("tests/unit")];
  if (what === "test") suites.push(...suitesIn("tests", ["tidy", "unit", "e2e", "bench"]));
  for (const suite of suites) total = add(total, await runSuite(suite));
  if (what === "test") {
    total = add(total, await runFuzz());
    total = add(total, await runSuite(endToEnd("binary", "on dist/emsmail")));
    total = add(total, await runSuite(endToEnd("deno", "on Deno, the core set")));
  }

  const line = countLine(total);
  const resultFile = Deno.env.get("EMSMAIL_RESULT_FILE");
  if (resultFile) await Deno.writeTextFile(resultFile, `${line}\n`);
  console.log(`\n${line}`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args[0]));
