// Arithmetic on buffered time ranges, in seconds. `head` is where appends go on: the end of what the newest has added.

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
 * The range that an append has made or made longer: it ends where none did before.
 * @param {TimeRanges} before
 * @param {TimeRanges} after
 * @returns {Range | undefined}
 */
export function grown(before, after) {
  const ends = list(before).map(({ end }) => end);
  return list(after).find(({ end }) => !ends.includes(end));
}

/**
 * What an append that was to go on at `head` has left out: the media has nothing there.
 * @param {Range} added
 * @param {number} head
 * @returns {Range | undefined}
 */
export function leftOut(added, head) {
  return head + SLACK < added.start ? { start: head, end: added.start } : undefined;
}

/**
 * From where a player that has jumped to `time` needs appends that are not under way.
 * @param {TimeRanges} ranges
 * @param {number} time
 * @param {number} head
 * @returns {number | undefined}
 */
export function missing(ranges, time, head) {
  const range = rangeAt(ranges, time);
  if (!range) return time;
  return range.start - SLACK <= head && head <= range.end + SLACK ? undefined : range.end;
}

/**
 * From where a player that has stalled at `time` needs appends that are not under way. What lies behind `head` is
 * only late; what lies before it has been dropped.
 * @param {TimeRanges} ranges
 * @param {number} time
 * @param {number} head
 * @returns {number | undefined}
 */
export function lost(ranges, time, head) {
  return rangeAt(ranges, time) || time + SLACK < head ? missing(ranges, time, head) : undefined;
}

/**
 * Where a player that has stalled at `time` may go on, if `time` is in no range: at the start of one just ahead, or
 * of one behind what the media has nothing of.
 * @param {TimeRanges} ranges
 * @param {number} time
 * @param {Range} [nothing]
 * @returns {number | undefined}
 */
export function jumpTarget(ranges, time, nothing) {
  const all = list(ranges);
  if (all.some(({ start, end }) => start <= time && time < end)) return undefined;
  const next = all.find(({ start }) => start > time)?.start ?? Infinity;
  const isNothing = nothing !== undefined && nothing.start - SLACK <= time && next <= nothing.end;
  return isNothing || next - time <= GAP_MAX ? next : undefined;
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
 * A range apart from the one that holds `time` and the one that grows: what an earlier seek has left.
 * @param {TimeRanges} ranges
 * @param {number} time
 * @param {number} head
 * @returns {Range | undefined}
 */
export function leftover(ranges, time, head) {
  const isNear = (/** @type {number} */ at, /** @type {Range} */ { start, end }) =>
    start - GAP_MAX <= at && at <= end + SLACK;
  return list(ranges).find((range) => !isNear(time, range) && !isNear(head, range));
}

/**
 * @param {TimeRanges} ranges
 * @returns {Range[]}
 */
function list(ranges) {
  return Array.from({ length: ranges.length }, (_, index) => ({ start: ranges.start(index), end: ranges.end(index) }));
}
