// A burst of calls runs at its beginning, at most once per interval, and after its end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { throttle } from "./throttle.js";

test("a burst runs at once, once per interval, and after its last call", ({ mock }) => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  /** @type {number[]} */
  const runs = [];
  const call = throttle(() => runs.push(Date.now()), 150);
  for (let calls = 0; calls < 9; calls += 1) {
    call();
    mock.timers.tick(50);
  }
  assert.deepEqual(runs, [0, 150, 300, 450]);
  mock.timers.tick(550);
  assert.deepEqual(runs, [0, 150, 300, 450], "nothing follows what no call has followed");
  call();
  assert.deepEqual(runs.slice(4), [1000], "a single call runs at once");
  mock.timers.tick(500);
  assert.deepEqual(runs.slice(4), [1000], "and once");
});
