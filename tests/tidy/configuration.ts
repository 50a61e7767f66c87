/**
 * The settings' part of docs/CONFIGURATION.md, made from their declaration in src/config/settings.ts, which is also what
 * `emsmail config describe` prints.
 *
 *   deno run -A tests/tidy/configuration.ts    writes it into the page
 *
 * What stands outside of the two marks is written by hand and left alone.
 *
 * @module
 */
import { describeConfig, type SettingDescription } from "../../src/config/config.ts";

export const PAGE: string = new URL("../../docs/CONFIGURATION.md", import.meta.url).pathname;
const BEGIN = "<!-- settings: made by `deno run -A tests/tidy/configuration.ts`, from here -->";
const END = "<!-- settings: to here -->";

/** The page with the settings as they are declared now. @throws {Error} where a mark is missing */
export function withSettings(page: string): string {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) {
    throw new Error(`${PAGE} lacks the mark ${BEGIN} or ${END}`);
  }
  return `${before}${BEGIN}\n\n${settingsText().trimEnd()}\n\n${END}${after}`;
}

function settingsText(): string {
  let text = "";
  let group: string | undefined;
  for (const setting of describeConfig()) {
    if (setting.group !== group) {
      group = setting.group;
      text += `### ${group === "" ? "At the top" : `\`${group}\``}\n\n`;
      if (group !== "") text += `${setting.groupHelp}\n\n`;
    }
    text += settingText(setting);
  }
  return text;
}

function settingText({ path, help, type, default: fallback, example }: SettingDescription): string {
  const isValue = /^[[\]\w./"'+-]+$/.test(fallback) || fallback.startsWith("[");
  return `**\`${path}\`**: ${help}\n\n- type: ${type}\n- default: ${isValue ? code(fallback) : fallback}\n` +
    `- example: ${code(example)}\n\n`;
}

function code(text: string): string {
  return text.includes("`") ? `\`\` ${text} \`\`` : `\`${text}\``;
}

if (import.meta.main) await Deno.writeTextFile(PAGE, withSettings(await Deno.readTextFile(PAGE)));
