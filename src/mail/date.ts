/**
 * Dates as RFC 5322 3.3 writes them.
 *
 * @module
 */
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const two = (value: number) => String(value).padStart(2, "0");

/** `Tue, 24 Nov 2026 14:05:09 +0100` for a time in milliseconds since 1970, in this machine's zone or the one given (minutes east). */
export function formatDate(atMs: number, zoneMinutes = -new Date(atMs).getTimezoneOffset()): string {
  const local = new Date(atMs + zoneMinutes * 60_000);
  const zone = Math.abs(zoneMinutes);
  const sign = zoneMinutes < 0 ? "-" : "+";
  return `${DAYS[local.getUTCDay()]}, ${local.getUTCDate()} ${MONTHS[local.getUTCMonth()]} ${
    String(local.getUTCFullYear()).padStart(4, "0")
  } ` +
    `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}:${two(local.getUTCSeconds())} ` +
    `${sign}${two(Math.floor(zone / 60))}${two(zone % 60)}`;
}
