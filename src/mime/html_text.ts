/**
 * HTML reduced to text that can be read in a terminal.
 *
 * Guarantees: never fails, takes time in proportion to the text, loads nothing. Scripts, styles and comments go; blocks
 * become lines, list items get a dash, a link's address follows its text. It is not a renderer: tables, layout and
 * hidden text are not understood.
 *
 * @module
 */

/** Elements whose content is not for reading. */
const UNREAD = ["script", "style", "head", "title", "template", "noscript"] as const;
/** Elements that begin and end a line. */
const BLOCKS = new Set(
  "address article blockquote dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section table tr ul"
    .split(" "),
);
/** Elements with an empty line before and after. */
const PARAGRAPHS = new Set("blockquote dl h1 h2 h3 h4 h5 h6 ol p pre table ul".split(" "));

const NAMED: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: " ",
  copy: "©",
  reg: "®",
  trade: "™",
  euro: "€",
  pound: "£",
  sect: "§",
  deg: "°",
  hellip: "…",
  mdash: "—",
  ndash: "–",
  bull: "•",
  middot: "·",
  lsquo: "‘",
  rsquo: "’",
  ldquo: "“",
  rdquo: "”",
  laquo: "«",
  raquo: "»",
  auml: "ä",
  ouml: "ö",
  uuml: "ü",
  Auml: "Ä",
  Ouml: "Ö",
  Uuml: "Ü",
  szlig: "ß",
  eacute: "é",
  egrave: "è",
  agrave: "à",
  ccedil: "ç",
  ntilde: "ñ",
};

/** Collects words, with white space between them as a browser would have it. */
class Lines {
  /** In pieces, since a string that grows and is looked at in turn is copied each time. */
  readonly #out: string[] = [];
  /** Line ends owed before the next word. */
  #owed = 0;
  #space: "owed" | "none" = "none";
  lastWord = "";

  text(text: string): void {
    let first = true;
    for (const word of text.split(/[ \t\r\n\f\u00a0]+/)) {
      if (!first) this.#space = "owed";
      first = false;
      if (word !== "") this.#word(word);
    }
  }

  lineBreak(): void {
    if (this.#out.length > 0) this.#owed = Math.min(2, this.#owed + 1);
    this.#space = "none";
  }

  block(lineEnds: 1 | 2): void {
    this.#owed = Math.max(this.#owed, lineEnds);
    this.#space = "none";
  }

  toString(): string {
    return this.#out.join("");
  }

  #word(word: string): void {
    if (this.#out.length > 0) {
      if (this.#owed > 0) this.#out.push("\n".repeat(this.#owed));
      else if (this.#space === "owed") this.#out.push(" ");
    }
    this.#out.push(word);
    this.lastWord = word;
    this.#owed = 0;
    this.#space = "none";
  }
}

/** Reduces HTML to text, lines ended by LF. */
export function htmlToText(html: string): string {
  const lines = new Lines();
  let link = "";
  let at = 0;
  while (at < html.length) {
    const open = html.indexOf("<", at);
    if (open < 0) break;
    lines.text(decodeEntities(html.slice(at, open)));
    const tag = readTag(html, open);
    at = tag.end;
    if (tag.kind === "text") lines.text("<");
    else if (tag.kind === "skip") continue;
    else if (tag.name === "a") link = followLink(lines, link, tag.href);
    else showTag(lines, tag.name);
  }
  if (at < html.length) lines.text(decodeEntities(html.slice(at)));
  followLink(lines, link, "");
  return lines.toString();
}

function showTag(lines: Lines, name: string): void {
  if (name === "br") return lines.lineBreak();
  if (name === "td" || name === "th") return lines.text(" ");
  if (!BLOCKS.has(name.replace("/", ""))) return;
  lines.block(PARAGRAPHS.has(name.replace("/", "")) ? 2 : 1);
  if (name === "li") lines.text("- ");
  if (name === "hr") {
    lines.text("----");
    lines.block(1);
  }
}

/** Ends the link that is open, naming where it led, and begins the next. */
function followLink(lines: Lines, open: string, next: string): string {
  if (open !== "" && lines.lastWord !== open) lines.text(` <${open}>`);
  return next;
}

type Tag =
  /** "<" that begins no tag. */
  | { readonly kind: "text"; readonly end: number }
  /** A comment, a declaration, or an element not for reading, with its content. */
  | { readonly kind: "skip"; readonly end: number }
  /** `name` in lower case, with a "/" in front in an end tag; `href` only of a link to somewhere outside. */
  | { readonly kind: "tag"; readonly name: string; readonly href: string; readonly end: number };

const TAG_NAME = /\/?[A-Za-z][A-Za-z0-9]{0,20}/y;
const HREF = /\shref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/i;
/** Tags longer than this keep no address. */
const TAG_CHARACTERS = 8192;

function readTag(html: string, open: number): Tag {
  if (html.startsWith("<!--", open)) return { kind: "skip", end: after(html, "-->", open + 4) };
  if (html[open + 1] === "!" || html[open + 1] === "?") return { kind: "skip", end: after(html, ">", open) };
  TAG_NAME.lastIndex = open + 1;
  const name = TAG_NAME.exec(html)?.[0].toLowerCase();
  if (name === undefined) return { kind: "text", end: open + 1 };
  const end = tagEnd(html, open);
  if ((UNREAD as readonly string[]).includes(name)) {
    return { kind: "skip", end: afterElement(html, name, end) };
  }
  const text = end - open > TAG_CHARACTERS ? "" : html.slice(open, end);
  const href = name === "a" ? HREF.exec(text) : null;
  const address = decodeEntities(href?.[1] ?? href?.[2] ?? href?.[3] ?? "").trim();
  return {
    kind: "tag",
    name: name === "/a" ? "a" : name,
    href: /^(?:https?:|mailto:)/i.test(address) ? address.replace(/^mailto:/i, "") : "",
    end,
  };
}

/** Where a tag ends: behind its first ">" outside quotes; a quote that never ends must not eat the rest of the message. */
function tagEnd(html: string, open: number): number {
  const limit = Math.min(html.length, open + TAG_CHARACTERS);
  let quote = "";
  for (let i = open + 1; i < limit; i++) {
    const character = html[i]!;
    if (quote !== "") quote = character === quote ? "" : quote;
    else if (character === '"' || character === "'") quote = character;
    else if (character === ">") return i + 1;
  }
  return after(html, ">", open);
}

function afterElement(html: string, name: string, from: number): number {
  const end = new RegExp(`</${name}`, "gi");
  end.lastIndex = from;
  const found = end.exec(html);
  return found === null ? html.length : after(html, ">", found.index);
}

function after(html: string, what: string, from: number): number {
  const at = html.indexOf(what, from);
  return at < 0 ? html.length : at + what.length;
}

function decodeEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|([a-z]{2,8}));?/gi, (all, decimal, hex, name) => {
    if (name !== undefined) return Object.hasOwn(NAMED, name) ? NAMED[name]! : all;
    const code = decimal === undefined ? parseInt(hex, 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
      ? String.fromCodePoint(code)
      : "\ufffd";
  });
}
