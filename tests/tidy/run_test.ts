/**
 * The test runner counts what a report says.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { countLine, countReport } from "../run.ts";

Deno.test("countReport() counts passed, failed and skipped tests", () => {
  const report = `<testsuites name="deno test"><testsuite name="a">
    <testcase name="one" classname="a" time="0.1">
    </testcase>
    <testcase name="two &gt; &lt;failure&gt;" classname="a"/>
    <testcase name="three" classname="a"><skipped/></testcase>
    <testcase name="four" classname="a"><failure message="x">y</failure></testcase>
  </testsuite></testsuites>`;
  assertEquals(countReport(report), { passed: 2, failed: 1, skipped: 1 });
  assertEquals(countReport(""), { passed: 0, failed: 0, skipped: 0 });
});

Deno.test("countLine() names skipped tests only where there are some", () => {
  assertEquals(countLine({ passed: 3, failed: 1, skipped: 0 }), "3 passed, 1 failed");
  assertEquals(countLine({ passed: 3, failed: 0, skipped: 2 }), "3 passed, 0 failed, 2 skipped");
});
