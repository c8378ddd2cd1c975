// Buffered ranges: which holds a time, where to jump, what may go.

import assert from "node:assert/strict";
import { test } from "node:test";
import { evictable, jumpTarget, leftover, rangeAt } from "./ranges.js";

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

test("what lies far enough behind may go", () => {
  assert.deepEqual(evictable(ranges([0, 100]), 90, 60), { start: 0, end: 30 });
  assert.equal(evictable(ranges([40, 100]), 90, 60), undefined);
  assert.equal(evictable(ranges([0, 100]), 50, 60), undefined);
  assert.equal(evictable(ranges(), 50, 60), undefined);
});

test("what a seek has left behind or ahead is a leftover", () => {
  assert.deepEqual(leftover(ranges([0, 10], [50, 60]), 55), { start: 0, end: 10 });
  assert.deepEqual(leftover(ranges([0, 10], [50, 60]), 5), { start: 50, end: 60 });
  assert.equal(leftover(ranges([0, 10]), 5), undefined);
});
