/**
 * Compiles a script ahead of time: `node cache.cjs SCRIPT CACHE`; with --verify in front, exits 1 where V8 refuses CACHE.
 *
 * The options must be those of `launch.cjs`, and the node the one that becomes the executable, or V8 refuses the cache.
 */
const fs = require("node:fs");
const process = require("node:process");
const vm = require("node:vm");

const verify = process.argv[2] === "--verify";
const [from, to] = process.argv.slice(verify ? 3 : 2);
const script = new vm.Script(fs.readFileSync(from, "utf8"), {
  filename: "emsmail",
  cachedData: verify ? fs.readFileSync(to) : undefined,
  importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
});
if (verify) process.exitCode = script.cachedDataRejected ? 1 : 0;
else fs.writeFileSync(to, script.createCachedData());
