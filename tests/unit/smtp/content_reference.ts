/**
 * What content is, said in the plainest way for a whole message at once: the yardstick for the streaming decoder.
 *
 * @module
 */
const BARE = /\r(?!\n)|(?<!\r)\n/g;

/** The content of what follows DATA's CRLF, and how much of it that is; undefined where no CRLF.CRLF comes. */
export function decodeDotted(sent: string): { readonly content: string; readonly used: number } | undefined {
  const after = "\r\n" + sent;
  const end = after.indexOf("\r\n.\r\n");
  if (end < 0) return undefined;
  const content = after.slice(0, end + 2).replace(/\r\n\./g, "\r\n").slice(2);
  return { content, used: end + 3 };
}

export function hasBareNewline(content: string): boolean {
  return content.search(BARE) >= 0;
}

export function repairNewlines(content: string): string {
  return content.replace(BARE, "\r\n");
}
