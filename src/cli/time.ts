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

const SPANS = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1000]] as const;

/** `45s`, `12m`, `3h 5m`, `2d 4h`: a span of time, to its two largest units, rounded down; `0s` for less than a second. */
export function formatSpan(spanMs: number): string {
  const first = SPANS.findIndex(([, unitMs]) => spanMs >= unitMs);
  if (first < 0) return "0s";
  const [unit, unitMs] = SPANS[first]!;
  const text = `${Math.floor(spanMs / unitMs)}${unit}`;
  const next = SPANS[first + 1];
  // Seconds beside minutes are noise.
  if (next === undefined || next[0] === "s") return text;
  const rest = Math.floor(spanMs % unitMs / next[1]);
  return rest === 0 ? text : `${text} ${rest}${next[0]}`;
}

/** `45s`, `12m`, `3h`, `2d`: a span of time to its largest unit, for tables. */
export function formatAge(spanMs: number): string {
  return formatSpan(spanMs).split(" ")[0]!;
}

/** `12 ms`, `0.4 s`, `35 s`, `2 min 5 s`: how long something took. */
export function formatTook(tookMs: number): string {
  if (tookMs < 100) return `${Math.round(tookMs)} ms`;
  if (tookMs < 9950) return `${(tookMs / 1000).toFixed(1)} s`;
  const seconds = Math.round(tookMs / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** `in 12m`, or `now` for what is due. */
export function formatFromNow(atMs: number, nowMs: number): string {
  return atMs - nowMs < 1000 ? "now" : `in ${formatSpan(atMs - nowMs)}`;
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
