/**
 * Says where in the sources a place of a stack trace is.
 *
 *   node .ci/where.mjs 111:984 [LINE:COLUMN ...]      the numbers behind "emsmail:" in the trace
 *
 * It reads dist/emsmail.map, which `make build` leaves beside the executable; the same version makes the same map.
 */
import fs from "node:fs";
import { SourceMap } from "node:module";
import path from "node:path";

const map = path.join(import.meta.dirname, "..", "dist", "emsmail.map");
const places = process.argv.slice(2).map((text) => /^(\d+):(\d+)$/.exec(text));
if (places.length === 0 || places.includes(null)) {
  process.stderr.write("usage: node .ci/where.mjs LINE:COLUMN ...\n");
  process.exit(2);
}
const sources = new SourceMap(JSON.parse(fs.readFileSync(map, "utf8")));
/** What the build puts in front of the first line. */
const WRAPPER = "(function(require,module,exports){".length;
for (const [text, line, column] of places) {
  const shift = line === "1" ? WRAPPER : 0;
  const found = sources.findEntry(Number(line) - 1, Number(column) - 1 - shift);
  const name = found.name === undefined || found.name === "" ? "" : ` (${found.name})`;
  const source = (found.originalSource ?? "?").replace(/^(?:\.\.\/)+/, "");
  console.log(`${text}  ${source}:${(found.originalLine ?? -1) + 1}${name}`);
}
