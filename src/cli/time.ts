/**
 * Times and sizes as people read them.
 *
 * @module
 */

const two = (value: number): string => String(value).padStart(2, "0");

/** `2026-11-24 14:05`, in this machine's time zone. */
export function formatMinute(atMs: number): string {
  const at = new Date(atMs);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ` +
    `${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** `2026-11-24 14:05:09`, in this machine's time zone. */
export function formatSecond(atMs: number): string {
  return `${formatMinute(atMs)}:${two(new Date(atMs).getSeconds())}`;
}

const UNITS = ["KiB", "MiB", "GiB", "TiB"];

/** `812 B`, `4.1 KiB`, `52 MiB`: three figures at most, in powers of 1024. */
export function formatSize(octets: number): string {
  if (octets < 1024) return `${octets} B`;
  let value = octets / 1024;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const figures = value < 9.95 ? value.toFixed(1).replace(/\.0$/, "") : String(Math.round(value));
  return `${figures} ${UNITS[unit]}`;
}

/** `1 message`, `2 messages`: a count with its noun. */
export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : plural}`;
}
