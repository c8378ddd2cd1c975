// The arithmetic of the benchmark.
import assert from "node:assert/strict";
import { test } from "node:test";
import { bars, bestChannel, median, rounded } from "./bars.mjs";

test("the median is the middle sample, or between the two in the middle", () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([7]), 7);
});

test("numbers keep three digits", () => {
  assert.deepEqual([0, 0.012345, 1.2345, 99.99, 1234.6].map(rounded), [0, 0.0123, 1.23, 100, 1235]);
});

test("the bare channel is judged at its best message size", () => {
  const row = (/** @type {number} */ megabytesPerSecond) => ({ megabytesPerSecond });
  assert.equal(
    bestChannel({ swarmreel: row(90), "channel-16k": row(20), "channel-64k": row(30), "channel-256k": row(25) }),
    "channel-64k",
  );
  assert.equal(bestChannel({ swarmreel: row(90) }), undefined);
});

test("a bar compares with the right contender, in the right sense", () => {
  const swarms = { seedersMegabytesPerSecond: 10, swarmMegabytesPerSecond: 20 };
  const medians = {
    swarmreel: {
      megabytesPerSecond: 20,
      cpuSeconds: 4,
      firstFrameMs: 600,
      seekMs: 300,
      seedersMegabytesPerSecond: 9,
      swarmMegabytesPerSecond: 30,
      webSeedMegabytesPerSecond: 30,
      longestTaskMs: 0,
      playLongestTaskMs: 60,
      peakMegabytes: 400,
      largePeakMegabytes: 440,
      medianMegabytes: 300,
      largeMedianMegabytes: 360,
    },
    webtorrent: { megabytesPerSecond: 10, cpuSeconds: 8, firstFrameMs: 1000, seekMs: 700, webSeedMegabytesPerSecond: 10, ...swarms },
    "channel-64k": { megabytesPerSecond: 25, cpuSeconds: 4 },
    "channel-16k": { megabytesPerSecond: 15, cpuSeconds: 1 },
  };
  assert.deepEqual(
    bars(medians).map(({ value, met }) => [value, met]),
    [
      [2, true],
      [0.8, false],
      [1, true],
      [0.6, false],
      [0.429, true],
      [0.9, false],
      [1.5, true],
      [3, true],
      [0, true],
      [60, false],
      [1.1, true],
      [1.2, false],
    ],
  );
});

test("a bar without its measurements is not met", () => {
  assert.ok(bars({ swarmreel: { megabytesPerSecond: 100 } }).every(({ value, met }) => value === null && !met));
});
