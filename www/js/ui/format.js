// Numbers as words for a person: sizes, speeds, fractions, times, counts.
// Invariant: every function is pure and total; a number that makes no sense (negative, NaN, infinite) reads as zero.

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/**
 * A size in SI units with at most three digits: `0 B`, `999 B`, `1.5 kB`, `93 MB`.
 * @param {number} count bytes
 */
export function bytes(count) {
  let value = sane(count);
  let unit = 0;
  // 999.5 would round up to 1000 of its unit, so it already belongs to the next.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/**
 * A transfer speed: `2.4 MB/s`.
 * @param {number} bytesPerSecond
 */
export function speed(bytesPerSecond) {
  return `${bytes(bytesPerSecond)}/s`;
}

/**
 * A fraction as whole percent, rounded down, so that 100 % means all of it.
 * @param {number} fraction 0 to 1
 */
export function percent(fraction) {
  return `${Math.floor(Math.min(sane(fraction), 1) * 100)} %`;
}

/**
 * A rough span of time: `a few seconds`, `about 40 s`, `about 3 min`, `about 2 h`.
 * @param {number} seconds
 */
export function span(seconds) {
  const whole = Math.round(sane(seconds));
  if (whole < 5) return "a few seconds";
  if (whole < 55) return `about ${Math.ceil(whole / 5) * 5} s`;
  if (whole < 3300) return `about ${Math.max(1, Math.round(whole / 60))} min`;
  return `about ${Math.max(1, Math.round(whole / 3600))} h`;
}

/**
 * A count with its noun: `1 viewer`, `2 viewers`.
 * @param {number} number
 * @param {string} noun in the singular, with a plural in -s
 */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** @param {number} number */
function sane(number) {
  return Number.isFinite(number) && number > 0 ? number : 0;
}
