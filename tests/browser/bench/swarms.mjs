// The benchmark's rows of more than two people. Invariant: only those who download differ between contenders, where
// the row is about downloading: its seeders are webtorrent's for everyone.
import { cpuSeconds } from "../lib/process-tree.mjs";
import { Stage } from "../lib/stage.mjs";
import * as wt from "../lib/wt.mjs";

/** @typedef {import("./contenders.mjs").Contender} Contender */
/** @typedef {import("./contenders.mjs").Camp} Camp */
/** @typedef {import("../lib/media.mjs").Fixture} Fixture */
/** @typedef {import("../lib/people.mjs").Person} Person */

/** What the slow one of two seeders sends, bytes per second. */
const SLOW = 1_000_000;

const LEECHERS = 4;

/**
 * Downloads from two seeders, one of which sends no more than 1 MB/s: webtorrent's own throttle, in webtorrent's own
 * seeder.
 * @param {Contender} contender
 * @param {Fixture} file
 * @returns {Promise<{ seedersMegabytesPerSecond: number }>} from `add` to the last byte
 */
export function twoSeeders(contender, file) {
  return onStage(contender, async (stage, camp) => {
    const { url } = await stage.pages();
    const [fast, slow, viewer] = await people(stage, ["fast", "slow", "viewer"]);
    await Promise.all([wt.opens(fast, url), wt.opens(slow, url), camp.opens(viewer)]);
    await wt.throttles(slow, SLOW);
    const [magnet] = await Promise.all([fast, slow].map((seeder) => wt.seeds(seeder, file.path, [camp.tracker])));
    const { seconds } = await downloads(camp, [viewer], magnet);
    return { seedersMegabytesPerSecond: file.length / 1e6 / seconds };
  });
}

/**
 * One seeder, and four who start to download at the same moment, all of one kind.
 * @param {Contender} contender
 * @param {Fixture} file
 * @returns {Promise<{ swarmMegabytesPerSecond: number, swarmCpuSeconds: number }>} all that the four received, by the
 *   time from `add` to when the last of them is done; CPU of all five browsers meanwhile
 */
export function fourLeechers(contender, file) {
  return onStage(contender, async (stage, camp) => {
    const [seeder, ...leechers] = await people(stage, ["seeder", ...Array.from({ length: LEECHERS }, (_, i) => `${i}`)]);
    await Promise.all([seeder, ...leechers].map((person) => camp.opens(person)));
    const magnet = await camp.seeds(seeder, file.path);
    const { seconds, cpu } = await downloads(camp, leechers, magnet, [seeder]);
    return { swarmMegabytesPerSecond: (LEECHERS * file.length) / 1e6 / seconds, swarmCpuSeconds: cpu };
  });
}

/** @param {Stage} stage @param {string[]} names */
function people(stage, names) {
  const args = ["--disable-background-timer-throttling"];
  return Promise.all(names.map((name) => stage.person("chromium", { name, args })));
}

/**
 * @param {Camp} camp
 * @param {Person[]} leechers
 * @param {string} magnet
 * @param {Person[]} [others] whose CPU counts besides
 */
async function downloads(camp, leechers, magnet, others = []) {
  const used = () => [...leechers, ...others].reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
  const [from, cpuBefore] = [performance.now(), used()];
  await Promise.all(leechers.map((leecher) => camp.adds(leecher, magnet)));
  await Promise.all(leechers.map((leecher) => camp.finishes(leecher)));
  return { seconds: (performance.now() - from) / 1000, cpu: used() - cpuBefore };
}

/**
 * @template T
 * @param {Contender} contender
 * @param {(stage: Stage, camp: Camp) => Promise<T>} run
 * @returns {Promise<T>}
 */
async function onStage(contender, run) {
  const stage = new Stage();
  try {
    if (!contender.camp) throw new Error(`${contender.name} is no swarm's member.`);
    return await run(stage, await contender.camp(stage));
  } catch (error) {
    await stage.keepEvidence(`bench-${contender.name}`);
    throw error;
  } finally {
    await stage.close();
  }
}
