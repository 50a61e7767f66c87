import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { PAGE, withSettings } from "./configuration.ts";

Deno.test("docs/CONFIGURATION.md has the settings as they are declared", () => {
  const page = Deno.readTextFileSync(PAGE);
  assertEquals(page === withSettings(page), true, "it is behind: deno run -A tests/tidy/configuration.ts");
});

Deno.test("withSettings() replaces what stands between the marks and nothing else", () => {
  const page = Deno.readTextFileSync(PAGE);
  const behind = page.replace("`limits.messageBytes`", "`limits.other`");
  assertEquals(behind === page, false);
  assertEquals(withSettings(behind), page);
  assertStringIncludes(withSettings(page.replace(/^#/, "# More\n#")), "# More");
  assertThrows(() => withSettings("# Configuration\n"), Error, "lacks the mark");
});
