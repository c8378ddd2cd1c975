// The benchmark's row of a web seed and a peer. Invariant: both contenders ask the same kind of server and a peer of their
// own kind, and the server answers the preflight that webtorrent needs.
import { setTimeout } from "node:timers/promises";
import * as api from "../lib/api.mjs";
import { Stage } from "../lib/stage.mjs";
import * as wt from "../lib/wt.mjs";

/** @typedef {import("./contenders.mjs").Contender} Contender */
/** @typedef {import("../lib/media.mjs").Fixture} Fixture */
/** @typedef {import("../lib/people.mjs").Person} Person */

/** Who takes longer has no figure: a fetch that webtorrent.js waits for in vain is never given up by it. */
const PATIENCE_MS = 60_000;

/**
 * Downloads a file from a web seed and a peer at once.
 * @param {Contender} contender
 * @param {Fixture} file
 * @returns {Promise<{ webSeedMegabytesPerSecond?: number }>} from `add` to the last byte
 */
export async function webSeedAndPeer(contender, file) {
  const stage = new Stage();
  try {
    const web = await stage.web({ [file.name]: file.path }, { cors: "preflight" });
    const [seeder, viewer] = await Promise.all(
      ["seeder", "viewer"].map((name) => stage.person("chromium", { name, args: ["--disable-background-timer-throttling"] })),
    );
    const download = await (contender.name === "webtorrent" ? theirs : ours)(stage, seeder, viewer, file);
    const from = performance.now();
    const done = download(`&ws=${encodeURIComponent(`${web.url}${file.name}`)}`);
    const isDone = await Promise.race([done.then(() => true), setTimeout(PATIENCE_MS, false, { ref: false })]);
    if (!isDone) return {};
    return { webSeedMegabytesPerSecond: file.length / 1e3 / (performance.now() - from) };
  } catch (error) {
    await stage.keepEvidence(`bench-${contender.name}`);
    throw error;
  } finally {
    await stage.close();
  }
}

/** @param {Stage} stage @param {Person} seeder @param {Person} viewer @param {Fixture} file */
async function ours(stage, seeder, viewer, file) {
  const { site } = await stage.swarmreel();
  await Promise.all([api.opens(seeder, site), api.opens(viewer, site)]);
  const { magnet } = await api.seeds(seeder, file.path);
  return async (/** @type {string} */ webSeed) => {
    await api.adds(viewer, magnet + webSeed);
    await api.finishes(viewer);
  };
}

/** @param {Stage} stage @param {Person} seeder @param {Person} viewer @param {Fixture} file */
async function theirs(stage, seeder, viewer, file) {
  const [{ tracker }, { url }] = [await stage.tracker(), await stage.pages()];
  await Promise.all([wt.opens(seeder, url), wt.opens(viewer, url)]);
  const magnet = await wt.seeds(seeder, file.path, [tracker]);
  return async (/** @type {string} */ webSeed) => {
    await wt.adds(viewer, magnet + webSeed, [tracker]);
    await wt.finishes(viewer);
  };
}
