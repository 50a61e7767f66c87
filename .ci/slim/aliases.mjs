/**
 * What the executable carries in place of three packages that mailauth loads and its signer has no use for: 1.1 MB of
 * script that every thread would hold, and 30 MB of memory once loaded. Signing works the same with and without
 * (tests/unit/dkim/slim_test.ts); what is left out says so when it is called.
 *
 * - joi: checks the public keys of other domains, for verifying
 * - tldts: the list of public suffixes, for DMARC
 * - libmime: folds lines, which src/dkim/sign.ts does again anyway
 */
import * as path from "node:path";

const NAMES = ["joi", "tldts", "libmime"];

/** The same as options of esbuild. */
export function slimAliases() {
  return NAMES.map((name) => `--alias:${name}=${path.join(import.meta.dirname, `${name}.cjs`)}`);
}
