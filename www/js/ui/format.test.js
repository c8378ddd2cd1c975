// Numbers read as a person would write them, whatever comes in.

import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, count, percent, span, speed } from "./format.js";

test("sizes keep at most three digits", () => {
  const said = [0, 1, 999, 1000, 1499, 9940, 9960, 93_400_000, 999_499, 999_500, 1.5e9, 2e18].map(bytes);
  const meant = [
    "0 B",
    "1 B",
    "999 B",
    "1.0 kB",
    "1.5 kB",
    "9.9 kB",
    "10 kB",
    "93 MB",
    "999 kB",
    "1.0 MB",
    "1.5 GB",
    "2000 PB",
  ];
  assert.deepEqual(said, meant);
  assert.equal(speed(2_450_000), "2.5 MB/s");
});

test("100 % means all of it", () => {
  assert.deepEqual([0, 0.001, 0.42, 0.999_9, 1, 1.7].map(percent), ["0 %", "0 %", "42 %", "99 %", "100 %", "100 %"]);
});

test("times are rough", () => {
  const said = [1, 12, 54, 55, 200, 3600, 7300].map(span);
  assert.deepEqual(said, [
    "a few seconds",
    "about 15 s",
    "about 55 s",
    "about 1 min",
    "about 3 min",
    "about 1 h",
    "about 2 h",
  ]);
});

test("one thing has no plural", () => {
  assert.deepEqual(
    [0, 1, 2].map((number) => count(number, "viewer")),
    ["0 viewers", "1 viewer", "2 viewers"],
  );
});

test("what is no number reads as zero", () => {
  for (const nonsense of [NaN, -5, Infinity, -Infinity]) {
    assert.equal(bytes(nonsense), "0 B");
    assert.equal(percent(nonsense), "0 %");
    assert.equal(span(nonsense), "a few seconds");
  }
});
