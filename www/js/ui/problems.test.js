// Every problem has a title, a sentence and a next step.

import assert from "node:assert/strict";
import { test } from "node:test";
import { problemOf, problemOfWarning } from "./problems.js";

test("a known code keeps the engine's sentence and adds what to do", () => {
  const problem = problemOf(Object.assign(new Error("It uses HEVC."), { code: "unsupported-codec" }));
  assert.deepEqual([problem.sentence, problem.action, problem.stuck], ["It uses HEVC.", "save", true]);
  assert.match(problem.title, /can’t play/);
  assert.match(problem.next, /save/);
});

test("a bad link is said to be the link's fault", () => {
  for (const code of ["bad-magnet", "bad-link"])
    assert.match(problemOf({ code, message: "No hash." }).title, /link doesn’t work/);
});

test("whatever is thrown, there are words for it", () => {
  for (const thrown of [
    null,
    undefined,
    7,
    "text",
    {},
    new Error(""),
    { code: "constructor" },
    { code: 5, message: {} },
  ]) {
    const problem = problemOf(thrown);
    assert.ok(problem.title && problem.sentence && problem.next, `${String(thrown)} has no words`);
    assert.equal(problem.stuck, false);
  }
});

test("an error without a code takes the code of the place it happened in", () => {
  assert.equal(problemOf(new Error("No."), "bad-torrent").code, "bad-torrent");
});

test("only warnings that a person can act on are shown", () => {
  assert.equal(problemOfWarning({ code: "storage-full", message: "1 GB at most." })?.title, "Storage is full");
  assert.equal(problemOfWarning({ code: "bad-piece", message: "A peer sent wrong bytes." }), null);
  assert.equal(problemOfWarning(null), null);
});
