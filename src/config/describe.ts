/**
 * The reference of all settings and a commented example file, both made from the settings' declaration.
 *
 * @module
 */
import { type Group, type Setting, settingsOf } from "./schema.ts";
import { SETTINGS } from "./settings.ts";

export interface SettingDescription {
  /** `limits.messageBytes`. */
  readonly path: string;
  /** The first key of the path; "" for a setting at the top. */
  readonly group: string;
  /** What the group is for. */
  readonly groupHelp: string;
  /** The kind of value with its bounds: "duration, at least 10m". */
  readonly type: string;
  /** As it would be written in the file, or a description where it isn't a fixed value. */
  readonly default: string;
  /** A sentence. */
  readonly help: string;
  /** A value as it may stand in the file. */
  readonly example: string;
}

/** Every setting, in the order of the reference. */
export function describeConfig(): SettingDescription[] {
  return settingsOf(SETTINGS).map(({ path, setting }) => {
    const group = path.length > 1 ? path[0]! : "";
    return {
      path: path.join("."),
      group,
      groupHelp: (SETTINGS.members as Group["members"])[group]?.help ?? SETTINGS.help,
      type: setting.kind.name,
      default: setting.fallbackText ?? written(setting),
      help: setting.help,
      example: setting.example,
    };
  });
}

/** The reference as text for `emsmail config describe`. */
export function configReference(): string {
  let text = "";
  let group: string | undefined;
  for (const setting of describeConfig()) {
    if (setting.group !== group) {
      group = setting.group;
      text += `${text === "" ? "" : "\n"}${group === "" ? "" : `${group}: `}${setting.groupHelp}\n`;
    }
    text += `\n  ${setting.path}\n      ${setting.help}\n` +
      `      type     ${setting.type}\n      default  ${setting.default}\n      example  ${setting.example}\n`;
  }
  return text;
}

/** A configuration file that sets everything to its default, with comments. */
export function exampleConfig(): string {
  return "# EMSmail's settings, each with its default. A line may be left out; a '#' in front makes it a comment.\n" +
    exampleOf(SETTINGS, "");
}

function exampleOf(group: Group, indent: string): string {
  let text = "";
  for (const [key, node] of Object.entries(group.members)) {
    if (node.is === "group") {
      text += `\n${indent}# ${node.help}\n${indent}${key}:\n${exampleOf(node, `${indent}  `)}`;
      continue;
    }
    const isFixed = node.fallbackText === undefined;
    const note = isFixed ? node.kind.name : `${node.kind.name}; default: ${node.fallbackText}`;
    text += `${indent === "" ? "\n" : ""}${indent}# ${node.help}\n${indent}# (${note})\n` +
      `${indent}${isFixed ? "" : "#"}${key}: ${isFixed ? written(node) : node.example}\n`;
  }
  return text;
}

function written(setting: Setting<unknown>): string {
  return setting.kind.write(setting.fallback);
}
