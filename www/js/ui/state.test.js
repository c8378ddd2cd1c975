// Every state has its words, and the words tell the states apart.

import assert from "node:assert/strict";
import { test } from "node:test";
import { describe, PATIENCE, tabTitle } from "./state.js";

/** @typedef {import("./state.js").Facts} Facts */
/** @typedef {import("./state.js").Traffic} Traffic */

/** @param {Partial<Traffic>} [traffic] @returns {Traffic} */
function traffic(traffic) {
  return {
    progress: 0,
    peers: [],
    webSeeds: [],
    connecting: 0,
    trackers: { working: 1, total: 1 },
    timeToFirstFrame: null,
    ...traffic,
  };
}

/** Someone who opened a link a moment ago. @param {Partial<Facts>} [facts] @returns {Facts} */
function opened(facts) {
  const start = {
    stopped: false,
    hashing: null,
    joined: true,
    ready: false,
    wasShared: false,
    waited: 1,
    traffic: traffic(),
  };
  return { origin: "opened", screen: "none", ...start, ...facts };
}

const NOBODY = traffic();
const SOMEONE = traffic({ progress: 0.3, peers: [{ progress: 1 }] });
const SERVED = traffic({ progress: 0.3, webSeeds: [{ state: "fetching" }] });
const ALL = traffic({ progress: 1 });

/** @type {[string, Facts, string, RegExp][]} */
const CASES = [
  [
    "the engine is gone",
    opened({ stopped: true, ready: true, screen: "playing", traffic: SOMEONE }),
    "stopped",
    /^Stopped Reload/,
  ],
  ["before the engine answers", opened({ joined: false, traffic: null }), "starting", /^Starting/],
  ["nobody found at first", opened(), "looking", /^Looking for peers/],
  ["someone is answering", opened({ traffic: traffic({ connecting: 2 }) }), "connecting", /^Connecting/],
  ["nobody came", opened({ waited: PATIENCE }), "alone", /^No peers yet.*starts when someone comes/],
  [
    "offers wait, but nobody came",
    opened({ waited: PATIENCE, traffic: traffic({ connecting: 5 }) }),
    "alone",
    /^No peers yet/,
  ],
  ["own link after a reload", opened({ waited: PATIENCE, wasShared: true }), "alone", /Choose the file again/],
  ["a peer, no metadata", opened({ traffic: traffic({ peers: [{ progress: 1 }] }) }), "metadata", /details.*1 peer\b/],
  [
    "a web server and nobody else",
    opened({ ready: true, screen: "playing", traffic: SERVED }),
    "playing",
    /Nobody else.*from a web server/,
  ],
  ["a web server, before the first picture", opened({ ready: true, screen: "loading", traffic: SERVED }), "buffering", /next pictures/],
  [
    "a web server that fails, and nobody else",
    opened({ ready: true, traffic: traffic({ webSeeds: [{ state: "resting" }] }) }),
    "looking",
    /^Looking/,
  ],
  ["before the first picture", opened({ ready: true, screen: "loading", traffic: SOMEONE }), "buffering", /^Buffering/],
  ["the picture waits", opened({ ready: true, screen: "waiting", traffic: SOMEONE }), "buffering", /^Buffering/],
  ["it plays", opened({ ready: true, screen: "playing", traffic: SOMEONE }), "playing", /^Playing while it downloads/],
  [
    "it plays, all is here",
    opened({ ready: true, screen: "playing", traffic: ALL }),
    "playing",
    /^Playing You have.*Keep this tab open/,
  ],
  [
    "it plays on alone",
    opened({ ready: true, screen: "playing", traffic: traffic({ progress: 0.5 }) }),
    "playing",
    /Nobody else is here/,
  ],
  ["paused", opened({ ready: true, screen: "paused", traffic: SOMEONE }), "paused", /^Paused/],
  ["at the end", opened({ ready: true, screen: "ended", traffic: ALL }), "ended", /^The end/],
  [
    "cannot be played",
    opened({ ready: true, screen: "failed", traffic: SOMEONE }),
    "downloading",
    /^Downloading.*saved/,
  ],
  [
    "cannot be played, all is here",
    opened({ ready: true, screen: "failed", traffic: ALL }),
    "complete",
    /^Download complete/,
  ],
  [
    "everyone left before the first picture",
    opened({ ready: true, screen: "loading", waited: 60 }),
    "alone",
    /^No peers yet/,
  ],
  [
    "hashing",
    opened({ origin: "shared", joined: false, hashing: 0.42, traffic: null }),
    "hashing",
    /^Hashing.*Nothing is uploaded/,
  ],
  [
    "shared, nobody yet",
    opened({ origin: "shared", ready: true, traffic: ALL }),
    "sharing",
    /^Ready to share.*Keep this tab open/,
  ],
];

for (const [situation, facts, key, words] of CASES) {
  test(`${situation}: ${key}`, () => {
    const said = describe(facts);
    assert.equal(said.key, key);
    assert.match(`${said.headline} ${said.detail}`, words);
  });
}

test("a tracker that cannot be reached is named, whoever waits for it", () => {
  const down = traffic({ trackers: { working: 0, total: 1 } });
  for (const origin of /** @type {const} */ (["opened", "shared"])) {
    assert.equal(describe(opened({ origin, traffic: down, waited: PATIENCE })).key, "offline");
    assert.notEqual(describe(opened({ origin, traffic: down, waited: 1 })).key, "offline", "it gets a moment first");
  }
});

test("the sharer is told how many watch, and when leaving does no harm", () => {
  const watched = (/** @type {number[]} */ ...parts) =>
    describe(
      opened({ origin: "shared", traffic: traffic({ progress: 1, peers: parts.map((progress) => ({ progress })) }) }),
    );
  assert.equal(watched(0.1).headline, "Seeding to 1 viewer");
  assert.equal(watched(0.1, 0.9).headline, "Seeding to 2 viewers");
  assert.match(watched(0.1, 0.9).detail, /Keep this tab open/);
  assert.match(watched(0.1, 1).detail, /even when you leave/);
});

test("the sharer of a file that this browser can't play is told what others will meet", () => {
  const said = describe(opened({ origin: "shared", screen: "failed", traffic: ALL }));
  assert.match(said.detail, /can’t play it.*save it/);
});

test("numbers that change by the second stay out of what is read aloud", () => {
  const at = (/** @type {number} */ hashing) => describe(opened({ origin: "shared", joined: false, hashing }));
  assert.deepEqual([at(0.1).headline, at(0.1).detail], [at(0.9).headline, at(0.9).detail]);
  assert.deepEqual([at(0.1).figure, at(0.9).figure], ["10 %", "90 %"]);
  const playing = (/** @type {number} */ progress) =>
    describe(opened({ ready: true, screen: "playing", traffic: { ...SOMEONE, progress } }));
  assert.deepEqual(playing(0.1), playing(0.9));
});

test("the time to the first picture is told once it is known", () => {
  const words = describe(opened({ ready: true, screen: "playing", traffic: { ...SOMEONE, timeToFirstFrame: 430 } }));
  assert.equal(words.figure, "Started in 0.4 s");
});

test("the tab says what goes on", () => {
  const title = (/** @type {Facts} */ facts) => tabTitle(describe(facts), "Dawn.mp4");
  assert.equal(title(opened({ ready: true, screen: "playing", traffic: SOMEONE })), "▶ Dawn.mp4 – Swarmreel");
  assert.equal(title(opened({ origin: "shared", joined: false, hashing: 0.5 })), "50 % · Dawn.mp4 – Swarmreel");
  assert.equal(title(opened()), "Looking for peers · Dawn.mp4 – Swarmreel");
  assert.equal(title(opened({ ready: true, screen: "paused", traffic: SOMEONE })), "Dawn.mp4 – Swarmreel");
  assert.equal(title(opened({ origin: "shared", traffic: SOMEONE })), "↑ Dawn.mp4 – Swarmreel");
  assert.equal(title(opened({ traffic: NOBODY, waited: PATIENCE })), "Dawn.mp4 – Swarmreel");
});
