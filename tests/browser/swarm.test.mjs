// Mixed swarms: two of ours and two of webtorrent's, one of today and one of yesterday, finish together, through every
// tracker that is deployed. Who seeds changes with the tracker.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import * as api from "./lib/api.mjs";
import { missingAquatic } from "./lib/aquatic.mjs";
import { media, sha256 } from "./lib/media.mjs";
import { openHouse } from "./lib/people.mjs";
import { scene } from "./lib/stage.mjs";
import * as wt from "./lib/wt.mjs";

/** @typedef {import("./lib/stage.mjs").Stage} Stage */
/** @typedef {import("./lib/people.mjs").House} House */
/** @typedef {import("./lib/people.mjs").Kind} Kind */

/**
 * @typedef {object} Row
 * @property {string} where
 * @property {(stage: Stage, ours: string) => Promise<string>} trackerOf the tracker's address, given our server's
 * @property {Member} seeder
 * @property {string} [missing] why the row can't be played
 */

/** @typedef {keyof typeof CAST} Member */

/** @type {Row[]} */
const ROWS = [
  { where: "our server", trackerOf: async (_, ours) => ours, seeder: "webtorrent 3" },
  {
    where: "bittorrent-tracker",
    trackerOf: async (stage) => (await stage.tracker()).tracker,
    seeder: "swarmreel in firefox",
  },
  {
    where: "aquatic_ws",
    trackerOf: async (stage) => (await stage.aquatic()).tracker,
    seeder: "webtorrent 1",
    missing: missingAquatic(),
  },
];

/** Who is in the swarm, and in which browser. */
const CAST = /** @type {const} */ ({
  "swarmreel in chromium": { kind: "chromium" },
  "swarmreel in firefox": { kind: "firefox" },
  "webtorrent 3": { kind: "chromium", version: 3 },
  "webtorrent 1": { kind: "firefox", version: 1 },
});

/** @type {Record<Kind, House>} */
const houses = /** @type {any} */ ({});
before(async () => {
  for (const kind of /** @type {const} */ (["chromium", "firefox"])) houses[kind] = await openHouse(kind);
});
after(() => Promise.all(Object.values(houses).map((house) => house.discard())));

for (const { where, trackerOf, seeder, missing } of ROWS) {
  scene(`through ${where}: ${seeder} seeds, and four of two kinds finish together`, play, { missing });

  /** @param {Stage} stage */
  async function play(stage) {
    const film = await media("small-moov-first.mp4");
    const [server, { url }] = [await stage.swarmreel(), await stage.pages()];
    const tracker = await trackerOf(stage, server.tracker);
    const members = Object.entries(CAST).map(async ([name, member]) => {
      const person = await stage.person(member.kind, { name, house: houses[member.kind] });
      if (!("version" in member)) await api.opens(person, server.site, { trackers: [tracker] });
      else await wt.opens(person, url, member.version);
      return { name, person, lib: "version" in member ? wt : api };
    });
    const swarm = await Promise.all(members);
    const leechers = swarm.filter(({ name }) => name !== seeder);
    const magnet = await seeds(swarm, seeder, film.path, tracker);
    await Promise.all(leechers.map(({ person, lib }) => lib.adds(person, magnet)));
    await Promise.all(leechers.map(({ person, lib }) => lib.finishes(person)));
    const digests = await Promise.all(leechers.map(({ person, lib }) => lib.digest(person)));
    assert.deepEqual(digests, Array(3).fill(await sha256(film.path)));
  }
}

/**
 * @param {{ name: string, person: import("./lib/people.mjs").Person, lib: typeof wt | typeof api }[]} swarm
 * @param {Member} seeder
 * @param {string} path
 * @param {string} tracker
 * @returns {Promise<string>} the magnet link
 */
async function seeds(swarm, seeder, path, tracker) {
  const found = swarm.find(({ name }) => name === seeder);
  assert.ok(found);
  if (found.lib === wt) return wt.seeds(found.person, path, [tracker]);
  return (await api.seeds(found.person, path)).magnet;
}
