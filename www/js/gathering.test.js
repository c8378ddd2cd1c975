// How long descriptions wait for candidates, with a connection that is told when it finds which.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Gathering } from "./gathering.js";

/** @typedef {"host" | "srflx" | "relay" | "end"} Found */

/**
 * How long a description takes.
 * @param {import("node:test").MockTimers} timers
 * @param {Gathering} gathering
 * @param {[number, Found][]} finds when the connection finds what, ms
 */
async function takes(timers, gathering, finds) {
  const pc = /** @type {any} */ ({ signalingState: "stable", iceGatheringState: "gathering", localDescription: { sdp: "" } });
  const started = performance.now();
  /** @type {number | undefined} */
  let took;
  gathering.description(pc).then(() => (took = performance.now() - started));
  for (let now = 0; now <= 45_000; now += 10) {
    for (const [at, what] of finds) {
      if (at === now) pc.onicecandidate?.({ candidate: what === "end" ? null : { type: what } });
    }
    await Promise.resolve().then(() => {});
    timers.tick(10);
  }
  return took;
}

/** @param {import("node:test").TestContext} context */
function mocked({ mock }) {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  mock.method(performance, "now", () => Date.now());
  return mock.timers;
}

test("without servers nothing is waited for", async (context) => {
  const timers = mocked(context);
  assert.ok(Number(await takes(timers, new Gathering(), [[10, "host"], [20, "end"]])) <= 30);
});

test("a server that answers is waited for, and one more address a second longer", async (context) => {
  const [timers, gathering] = [mocked(context), new Gathering()];
  assert.ok(Number(await takes(timers, gathering, [[10, "host"], [90, "srflx"], [100, "end"]])) <= 110);
  const slow = Number(await takes(timers, gathering, [[10, "host"], [90, "srflx"], [40_000, "end"]]));
  assert.ok(slow >= 1090 && slow <= 1110, `${slow}`);
});

test("a server that never answers costs little once, and then hardly anything", async (context) => {
  const [timers, gathering] = [mocked(context), new Gathering()];
  /** @type {[number, Found][]} */
  const dead = [[10, "host"], [20, "host"], [9_500, "end"]];
  const [first, second] = [Number(await takes(timers, gathering, dead)), Number(await takes(timers, gathering, dead))];
  assert.ok(first >= 600 && first <= 640, `${first}`);
  assert.ok(second <= 190, `${second}`);
});

test("a server that answers late is waited for the next time, even if it was given up", async (context) => {
  const [timers, gathering] = [mocked(context), new Gathering()];
  /** @type {[number, Found][]} */
  const late = [[10, "host"], [1_010, "srflx"], [1_020, "end"]];
  assert.ok(Number(await takes(timers, gathering, late)) < 700);
  const second = Number(await takes(timers, gathering, late));
  assert.ok(second >= 1_010 && second <= 1_040, `${second}`);
});

test("who has no local address to show waits for a relay, up to five seconds", async (context) => {
  const [timers, gathering] = [mocked(context), new Gathering()];
  assert.ok(Number(await takes(timers, gathering, [[2_000, "relay"], [2_010, "end"]])) <= 2_030);
  const never = Number(await takes(timers, gathering, []));
  assert.ok(never >= 5_000 && never <= 5_030, `${never}`);
});

test("a closed connection has no description", async () => {
  const pc = /** @type {any} */ ({ signalingState: "closed", iceGatheringState: "complete" });
  await assert.rejects(new Gathering().description(pc));
});
