/**
 * Makes dist/emsmail, one executable file with nothing needed beside it.
 *
 *   node .ci/build.mjs [--engine=node|deno] [--main=main.ts] [--output=dist/emsmail]
 *
 * node (the default): esbuild joins main.ts and everything it imports into one CommonJS script; V8 compiles that ahead of
 * time into a code cache; both become assets of a Node single executable whose main is `launch.cjs`.
 * deno: esbuild joins the same into one ES module and `deno compile` makes the executable from it. That needs Deno's
 * runtime base, which Deno downloads, or takes from DENORT_BIN.
 *
 * Guarantees: the same sources give the same bytes; dist/emsmail is replaced in one step or not at all; it has been started
 * once before it is put there.
 */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { slimAliases } from "./slim/aliases.mjs";

const root = path.dirname(import.meta.dirname);
// Of this process's own, so that two builds at a time don't take each other's files away.
const work = path.join(root, "dist", `.build-${process.pid}`);
const bin = (name) => path.join(root, ".tools", "bin", name);

function stop(sentence) {
  console.error(`build: ${sentence}`);
  process.exit(1);
}

function run(command, args, options = {}) {
  const done = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"], cwd: root, ...options });
  if (done.error) stop(`${command} could not be started: ${done.error.message}`);
  return done;
}

/** deno.json's imports that are not simply a package by its own name, as esbuild aliases. */
function aliases() {
  const { imports } = JSON.parse(fs.readFileSync(path.join(root, "deno.json"), "utf8"));
  return Object.entries(imports).flatMap(([name, target]) => {
    const match = /^npm:((?:@[^/@]+\/)?[^/@]+)@[^/]+(\/.*)?$/.exec(target);
    if (match === null) stop(`deno.json: "${name}": "${target}" is not of the form npm:NAME@VERSION`);
    const [, packageName, inside = ""] = match;
    if (packageName === name && inside === "") return [];
    return [`--alias:${name}=${path.join(root, "node_modules", packageName, inside)}`];
  });
}

/** What an ES module lacks: `require` for packages in CommonJS, and the text that starts the program again as a thread. */
const ESM_HEAD = 'import{createRequire as __emsmailRequire}from"node:module";' +
  "const require=__emsmailRequire(import.meta.url);" +
  'globalThis.__emsmailLauncher??="import("+JSON.stringify(import.meta.url)+")";';

/** Joins everything into one file. */
function bundle(main, { format, output }) {
  const args = [
    path.relative(root, path.resolve(main)),
    "--bundle",
    "--platform=node",
    "--target=node26",
    `--format=${format}`,
    // Short names save 5 MB: each thread holds the whole text. dist/emsmail.map gives them back (where.mjs).
    "--minify",
    "--sourcemap=external",
    "--legal-comments=none",
    "--log-level=warning",
    `--outfile=${output}`,
    ...aliases(),
    ...slimAliases(),
  ];
  if (format === "cjs") args.push('--define:import.meta.url=""');
  else args.push(`--banner:js=${ESM_HEAD}`);
  if (run(bin("esbuild"), args).status !== 0) stop("esbuild refused the sources; its messages are above");
}

/** The version, from the one place where it is written. */
function version() {
  const text = fs.readFileSync(path.join(root, "src", "base", "version.ts"), "utf8");
  const match = /^export const VERSION = "(\d+\.\d+\.\d+)";$/m.exec(text);
  if (match === null) stop('src/base/version.ts has no line of the form export const VERSION = "1.2.3";');
  return match[1];
}

/** Node's own single executable. */
function buildWithNode(main, output) {
  const script = path.join(work, "emsmail.cjs");
  const cache = path.join(work, "emsmail.cache");
  const launcher = path.join(work, "launch.cjs");
  bundle(main, { format: "cjs", output: script });
  // One expression that gives a function, so that the launcher can pass the three names in.
  const text = `(function(require,module,exports){${fs.readFileSync(script, "utf8")}\n})`;
  // deno-lint-ignore no-control-regex -- what is outside ASCII is what is looked for
  if (/[^\x00-\x7f]/.test(text)) {
    stop("the script is not ASCII throughout, which launch.cjs takes for granted");
  }
  fs.writeFileSync(script, text);
  // A cache holds V8's random hash seed unless one is given; this flag, unlike --hash-seed, leaves the cache acceptable
  // to a V8 that runs without it.
  if (
    run(bin("node"), ["--random-seed=1", path.join(import.meta.dirname, "cache.cjs"), script, cache])
      .status !== 0
  ) {
    stop("the code cache could not be made; the message is above");
  }
  if (
    run(bin("node"), [path.join(import.meta.dirname, "cache.cjs"), "--verify", script, cache]).status !== 0
  ) {
    stop("V8 refuses the code cache just made");
  }
  const source = fs.readFileSync(path.join(import.meta.dirname, "launch.cjs"), "utf8")
    .replace(/^\/\*\*.*?\*\/\n/s, "");
  fs.writeFileSync(
    launcher,
    `const launcherSource=${JSON.stringify(source)};const programVersion=${
      JSON.stringify(version())
    };\n${source}`,
  );
  const settings = path.join(work, "sea.json");
  fs.writeFileSync(
    settings,
    JSON.stringify({
      main: path.basename(launcher),
      mainFormat: "commonjs",
      output: path.basename(output),
      disableExperimentalSEAWarning: true,
      // Each thread's young generation may grow to three times this, in MiB; by default it keeps 48 MiB after a burst of mail.
      execArgv: ["--max-semi-space-size=4"],
      assets: { script: path.basename(script), cache: path.basename(cache) },
    }),
  );
  const done = run(bin("node"), ["--build-sea", path.basename(settings)], {
    // Names are relative: absolute ones go into the executable and would make it differ from folder to folder.
    cwd: work,
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
  });
  if (done.status !== 0) stop(`node --build-sea failed:\n${done.stdout}${done.stderr}`);
}

/** The --allow flags of `deno task serve`, so that the compiled program may do what the served source may. */
function permissions() {
  const { tasks } = JSON.parse(fs.readFileSync(path.join(root, "deno.json"), "utf8"));
  return (tasks?.serve ?? "").split(" ").filter((word) => word.startsWith("--allow-"));
}

/** Deno's own single executable. */
function buildWithDeno(main, output) {
  const module = path.join(work, "emsmail.mjs");
  bundle(main, { format: "esm", output: module });
  const done = run(bin("deno"), [
    "compile",
    "--no-config",
    "--quiet",
    ...permissions(),
    "--output",
    output,
    module,
  ], {
    cwd: work,
    env: { DENO_NO_UPDATE_CHECK: "1", ...process.env },
  });
  if (done.status !== 0) {
    stop(
      'ENGINE=deno needs Deno\'s runtime base ("denort"), which "deno compile" downloads from Deno\'s own site. Where that ' +
        "site is out of reach, set DENORT_BIN to a denort file of the same version, or run plain `make build`, which " +
        "needs neither.",
    );
  }
}

// V8 flags given that way would go into the code cache and make V8 refuse it later.
delete process.env.NODE_OPTIONS;
const { values } = parseArgs({
  options: {
    engine: { type: "string", default: "node" },
    main: { type: "string", default: path.join(root, "main.ts") },
    output: { type: "string", default: path.join(root, "dist", "emsmail") },
  },
});
const output = path.resolve(values.output);
const fresh = path.join(work, "emsmail.new");
if (!fs.existsSync(values.main)) stop(`there is no ${values.main} to build from`);
fs.mkdirSync(work, { recursive: true });
process.on("exit", () => fs.rmSync(work, { recursive: true, force: true }));
fs.mkdirSync(path.dirname(output), { recursive: true });
if (values.engine === "node") buildWithNode(values.main, fresh);
else if (values.engine === "deno") buildWithDeno(values.main, fresh);
else stop(`ENGINE=${values.engine} is not known; "node" and "deno" are`);
fs.chmodSync(fresh, 0o755);

// The first is answered by the launcher, the second by the program.
for (const question of ["--version", "version"]) {
  const smoke = spawnSync(fresh, [question], { encoding: "utf8", cwd: work });
  if (smoke.status !== 0 || smoke.stdout.split("\n")[0] !== `emsmail ${version()}`) {
    stop(`the new executable did not answer "emsmail ${question}":\n${smoke.stdout}${smoke.stderr}`);
  }
}
// A copy, as an installed program is one: the file that was written in one piece stays in the kernel's cache in large pieces,
// and 25 MB more of it are mapped into the memory of whoever runs it.
const copy = `${output}.new`;
fs.copyFileSync(fresh, copy);
fs.renameSync(copy, output);
if (values.engine === "node") fs.copyFileSync(path.join(work, "emsmail.cjs.map"), `${output}.map`);
console.log(
  `${path.relative(process.cwd(), output)}: emsmail ${version()}, ${fs.statSync(output).size} octets`,
);
