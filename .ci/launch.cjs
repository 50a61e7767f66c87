/**
 * The main of the single executable: loads the program and its code cache from the assets.
 *
 * The build puts two lines in front: `const launcherSource = "…"` (this text) and `const programVersion = "…"`. Worker
 * threads are started from it: `new Worker(globalThis.__emsmailLauncher, { eval: true, workerData })` runs the same
 * program with isMainThread false.
 */
if (process.argv.length === 3 && process.argv[2] === "--version") {
  // Nothing of the program is needed for that, so nothing is loaded.
  require("node:fs").writeSync(1, `emsmail ${programVersion}\n`);
} else {
  const sea = require("node:sea");
  const vm = require("node:vm");
  globalThis.__emsmailLauncher = `const launcherSource=${JSON.stringify(launcherSource)};` +
    `const programVersion=${JSON.stringify(programVersion)};\n${launcherSource}`;
  // The script is ASCII throughout, which Latin-1 reads four times as fast as UTF-8.
  new vm.Script(Buffer.from(sea.getRawAsset("script")).latin1Slice(), {
    filename: "emsmail",
    cachedData: Buffer.from(sea.getRawAsset("cache")),
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  }).runInThisContext()(require, module, exports);
}
