// Arithmetic on buffered time ranges, in seconds.

/** A frame or two: what players take for adjacent. */
const SLACK = 0.1;
/** A hole that a stalled player may jump over: encoders start audio and video apart. */
const GAP_MAX = 0.5;

/** @typedef {{ start: number, end: number }} Range */

/**
 * The range that holds `time`.
 * @param {TimeRanges} ranges
 * @param {number} time
 * @returns {Range | undefined}
 */
export function rangeAt(ranges, time) {
  return list(ranges).find(({ start, end }) => start - SLACK <= time && time <= end);
}

/**
 * Where a player that has stalled at `time` may go on: the start of a range just ahead, if `time` is in none.
 * @param {TimeRanges} ranges
 * @param {number} time
 * @returns {number | undefined}
 */
export function jumpTarget(ranges, time) {
  const all = list(ranges);
  if (all.some(({ start, end }) => start <= time && time < end)) return undefined;
  return all.find(({ start }) => start > time && start - time <= GAP_MAX)?.start;
}

/**
 * What may be dropped to make room: everything up to `behind` seconds before `time`.
 * @param {TimeRanges} ranges
 * @param {number} time
 * @param {number} behind
 * @returns {Range | undefined}
 */
export function evictable(ranges, time, behind) {
  const end = time - behind;
  return ranges.length > 0 && ranges.start(0) < end ? { start: 0, end } : undefined;
}

/**
 * A range apart from the one that holds `time`: what an earlier seek has left.
 * @param {TimeRanges} ranges
 * @param {number} time
 * @returns {Range | undefined}
 */
export function leftover(ranges, time) {
  return list(ranges).find(({ start, end }) => time < start - GAP_MAX || end < time);
}

/**
 * @param {TimeRanges} ranges
 * @returns {Range[]}
 */
function list(ranges) {
  return Array.from({ length: ranges.length }, (_, index) => ({ start: ranges.start(index), end: ranges.end(index) }));
}
