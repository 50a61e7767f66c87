/**
 * Installs what builds and tests EMSmail: the pinned executables into .tools/ and the packages of deno.lock into
 * node_modules/. Needs Node.js 20 and npm, and reaches nothing but npm's configured registry.
 *
 * Guarantees: a second run with nothing changed does nothing; a run that was cut short is done again. No install script
 * runs: the executables are called where their packages put them.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const tools = path.join(root, ".tools");

function stop(sentence) {
  console.error(`tools: ${sentence}`);
  process.exit(1);
}

/** One digest over the contents of files. */
function digest(...names) {
  const hash = createHash("sha256");
  for (const name of names) hash.update(fs.readFileSync(path.join(root, name))).update("\0");
  return hash.digest("hex");
}

/** True where `stamp` holds `wanted` and every one of `needed` is there. */
function isCurrent(stamp, { wanted, needed }) {
  try {
    return fs.readFileSync(stamp, "utf8").trim() === wanted && needed.every((name) => fs.existsSync(name));
  } catch {
    return false;
  }
}

function run(command, args, options) {
  const done = spawnSync(command, args, { stdio: "inherit", ...options });
  if (done.error) stop(`${command} could not be started: ${done.error.message}`);
  if (done.status !== 0) stop(`"${command} ${args.join(" ")}" failed; its message is above`);
}

/** The executables of this machine's kind, by the name they get in .tools/bin. */
function executables() {
  const arch = { x64: "x64", arm64: "arm64" }[process.arch];
  if (process.platform !== "linux" || arch === undefined) {
    stop(
      `this toolchain is pinned for Linux on x64 and arm64 with glibc; this is ${process.platform} on ${process.arch}`,
    );
  }
  if (process.report?.getReport?.().header?.glibcVersionRuntime === undefined) {
    stop("this toolchain needs a Linux with glibc; this one has another C library");
  }
  return {
    deno: `node_modules/@deno/linux-${arch}-glibc/deno`,
    node: `node_modules/node-linux-${arch}/bin/node`,
    esbuild: `node_modules/@esbuild/linux-${arch}/bin/esbuild`,
  };
}

function installExecutables() {
  const programs = executables();
  const wanted = digest(".ci/toolchain/package.json", ".ci/toolchain/package-lock.json");
  const stamp = path.join(tools, "stamp");
  const links = Object.keys(programs).map((name) => path.join(tools, "bin", name));
  if (isCurrent(stamp, { wanted, needed: links })) return;
  console.log("tools: installing deno, node and esbuild into .tools/");
  fs.mkdirSync(path.join(tools, "bin"), { recursive: true });
  fs.rmSync(stamp, { force: true });
  for (const name of ["package.json", "package-lock.json"]) {
    fs.copyFileSync(path.join(root, ".ci/toolchain", name), path.join(tools, name));
  }
  run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: tools });
  for (const [name, place] of Object.entries(programs)) {
    const file = path.join(tools, place);
    if (!fs.existsSync(file)) {
      stop(`npm left no ${place} in .tools/; is "omit=optional" set in npm's configuration?`);
    }
    fs.chmodSync(file, 0o755);
    const link = path.join(tools, "bin", name);
    fs.rmSync(link, { force: true });
    fs.symlinkSync(path.join("..", place), link);
    run(link, ["--version"], { stdio: ["ignore", "ignore", "inherit"] });
  }
  fs.writeFileSync(stamp, `${wanted}\n`);
}

/** npm's registry where it is not the one Deno takes by itself. */
function registry() {
  const asked = spawnSync("npm", ["config", "get", "registry"], { encoding: "utf8", cwd: root });
  const value = (asked.stdout ?? "").trim();
  return value.startsWith("http") ? { NPM_CONFIG_REGISTRY: value } : {};
}

function installPackages() {
  const wanted = digest("deno.lock");
  const stamp = path.join(root, "node_modules", ".emsmail-stamp");
  if (isCurrent(stamp, { wanted, needed: [] })) return;
  console.log("tools: installing the packages of deno.lock into node_modules/");
  run(path.join(tools, "bin", "deno"), ["install", "--frozen", "--quiet"], {
    cwd: root,
    env: { ...registry(), DENO_NO_UPDATE_CHECK: "1", ...process.env },
  });
  fs.writeFileSync(stamp, `${wanted}\n`);
}

if (Number(process.versions.node.split(".")[0]) < 20) {
  stop(`Node.js 20 or newer is needed; this is ${process.version}`);
}
installExecutables();
installPackages();
