/**
 * The main of the single executable: loads the program and its code cache from the assets.
 *
 * The build puts `const launcherSource = "…"` (this text) in front. Worker threads are started from it:
 * `new Worker(globalThis.__emsmailLauncher, { eval: true, workerData })` runs the same program with isMainThread false.
 */
{
  const sea = require("node:sea");
  const vm = require("node:vm");
  globalThis.__emsmailLauncher = `const launcherSource=${JSON.stringify(launcherSource)};\n${launcherSource}`;
  new vm.Script(sea.getAsset("script", "utf8"), {
    filename: "emsmail",
    cachedData: Buffer.from(sea.getRawAsset("cache")),
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  }).runInThisContext()(require, module, exports);
}
