// Buffered ranges: which holds a time, where to jump, what may go.

import assert from "node:assert/strict";
import { test } from "node:test";
import { evictable, grown, jumpTarget, leftOut, leftover, lost, missing, rangeAt } from "./ranges.js";

/** @param {[number, number][]} pairs @returns {TimeRanges} */
const ranges = (...pairs) => ({ length: pairs.length, start: (index) => pairs[index][0], end: (index) => pairs[index][1] });

test("a time is held by the range around it, and by one that begins a frame later", () => {
  const buffered = ranges([0.05, 10], [20, 30]);
  for (const [time, start] of [[0, 0.05], [5, 0.05], [10, 0.05], [19.95, 20], [20, 20], [30, 20]]) {
    assert.equal(rangeAt(buffered, time)?.start, start, `at ${time}`);
  }
  for (const time of [10.01, 15, 19.5, 30.01]) assert.equal(rangeAt(buffered, time), undefined, `at ${time}`);
  assert.equal(rangeAt(ranges(), 0), undefined);
});

test("a stalled player jumps over a small hole, and over no other", () => {
  const buffered = ranges([0.3, 10], [10.4, 20], [25, 30]);
  for (const [time, target] of [[0, 0.3], [10, 10.4], [10.2, 10.4]]) assert.equal(jumpTarget(buffered, time), target);
  for (const time of [0.3, 5, 20, 24, 30]) assert.equal(jumpTarget(buffered, time), undefined, `at ${time}`);
});

test("a stalled player jumps over what the media has nothing of, however long, and not over what was dropped", () => {
  const nothing = { start: 0, end: 3600 };
  assert.equal(jumpTarget(ranges([3600, 3610]), 0, nothing), 3600);
  assert.equal(jumpTarget(ranges([3600, 3610]), 0), undefined);
  assert.equal(jumpTarget(ranges([3605, 3610]), 0, nothing), undefined);
  assert.equal(jumpTarget(ranges(), 0, nothing), undefined);
  assert.equal(jumpTarget(ranges([0, 10], [20, 30]), 5, { start: 10, end: 20 }), undefined);
});

test("what lies far enough behind may go", () => {
  assert.deepEqual(evictable(ranges([0, 100]), 90, 60), { start: 0, end: 30 });
  assert.equal(evictable(ranges([40, 100]), 90, 60), undefined);
  assert.equal(evictable(ranges([0, 100]), 50, 60), undefined);
  assert.equal(evictable(ranges(), 50, 60), undefined);
});

test("what a seek has left behind or ahead is a leftover; what is shown or grows is none", () => {
  const buffered = ranges([0, 10], [50, 60]);
  assert.deepEqual(leftover(buffered, 55, 60), { start: 0, end: 10 });
  assert.deepEqual(leftover(buffered, 5, 10), { start: 50, end: 60 });
  assert.equal(leftover(buffered, 5, 60), undefined);
  assert.equal(leftover(ranges([0, 10]), 5, 10), undefined);
});

test("an append's range ends where none did before", () => {
  const before = ranges([0, 10], [50, 60]);
  assert.deepEqual(grown(before, ranges([0, 12], [50, 60])), { start: 0, end: 12 });
  assert.deepEqual(grown(before, ranges([0, 10], [20, 22], [50, 60])), { start: 20, end: 22 });
  // The middle of a group of pictures was written anew: its rest is gone.
  assert.deepEqual(grown(before, ranges([0, 10], [50, 53], [56, 60])), { start: 50, end: 53 });
  assert.equal(grown(before, ranges([0, 10], [45, 60])), undefined, "it has met an old one");
  assert.equal(grown(before, before), undefined);
});

test("the media has nothing between where appends were to go on and where they did", () => {
  assert.deepEqual(leftOut({ start: 3600, end: 3602 }, 0), { start: 0, end: 3600 });
  assert.equal(leftOut({ start: 0.05, end: 2 }, 0), undefined);
  assert.equal(leftOut({ start: 40, end: 51 }, 50), undefined);
});

test("a jump needs appends, unless it stays in the range that grows", () => {
  const buffered = ranges([0, 10], [50, 60]);
  assert.equal(missing(buffered, 30, 10), 30);
  assert.equal(missing(buffered, 5, 10), undefined);
  assert.equal(missing(buffered, 55, 10), 60);
  // A drop from the front, to whichever random access point, changes nothing.
  assert.equal(missing(ranges([58, 120]), 118, 120), undefined);
});

test("a player that stalls where the download has come to waits", () => {
  for (const time of [118, 119.95, 120, 121]) assert.equal(lost(ranges([58, 120]), time, 120), undefined, `at ${time}`);
  assert.equal(lost(ranges(), 0, 0), undefined);
});

test("a player that stalls where something was dropped asks for it, at the end of an old range too", () => {
  assert.equal(lost(ranges([100, 120]), 95, 120), 95);
  assert.equal(lost(ranges(), 95, 120), 95);
  assert.equal(lost(ranges([50, 60]), 59.95, 20), 60);
});
