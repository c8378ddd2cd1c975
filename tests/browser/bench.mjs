// The benchmark: our peer, webtorrent 3.0.21 and a bare data channel, side by side on loopback. Prints JSON on stdout
// and its progress on stderr. Invariant: contenders take turns, in an order that changes each round, so that a busy
// minute of the machine hits all of them alike. `node bench.mjs --help` says how to call it.
import { readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { bars, bestChannel, median, rounded } from "./bench/bars.mjs";
import { channel, swarmreel, webtorrent } from "./bench/contenders.mjs";
import { play, transfer } from "./bench/measure.mjs";
import { fourLeechers, twoSeeders } from "./bench/swarms.mjs";
import { webSeedAndPeer } from "./bench/webseed.mjs";
import { media, randomMegabytes } from "./lib/media.mjs";

const HELP = `usage: node bench.mjs [--runs N] [--quick] [--only NAMES] [--rows NAMES] [--megabytes N] [--large N]
  --runs N        rounds; the medians are printed (default 5)
  --quick         one round of 30 MB, and no large torrent
  --only NAMES    of swarmreel, webtorrent, channel-16k, channel-64k, channel-256k
  --rows NAMES    of transfer, play, two-seeders, four-leechers, web-seed (default: all)
  --megabytes N   the size of the torrent (default 100)
  --large N       the size of the large torrent that memory is compared with, in MB (default 1000; 0: none)`;

/** @typedef {import("./bench/contenders.mjs").Contender} Contender */
/** @typedef {import("./lib/media.mjs").Fixture} Fixture */
/** @typedef {Record<string, number>} Sample */
/** @typedef {Map<string, Record<string, number[]>>} Samples by contender, then by measure */

const CONTENDERS = [swarmreel, webtorrent, channel(16), channel(64), channel(256)];

function options() {
  const { values } = parseArgs({
    options: {
      runs: { type: "string" },
      quick: { type: "boolean", default: false },
      only: { type: "string" },
      rows: { type: "string" },
      megabytes: { type: "string" },
      large: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const number = (/** @type {string | undefined} */ text, /** @type {number} */ otherwise) =>
    text === undefined ? otherwise : Number(text);
  const names = values.only?.split(",");
  const rows = values.rows?.split(",") ?? Object.keys(ROWS);
  const unknown = rows.find((row) => !(row in ROWS));
  if (unknown !== undefined) throw new Error(`There is no row “${unknown}”: ${Object.keys(ROWS).join(", ")}.`);
  return {
    help: values.help,
    runs: number(values.runs, values.quick ? 1 : 5),
    rows,
    megabytes: number(values.megabytes, values.quick ? 30 : 100),
    large: number(values.large, values.quick ? 0 : 1000),
    contenders: CONTENDERS.filter(({ name }) => names?.includes(name) ?? true),
  };
}

/**
 * Adds a sample's measures to those of its contender.
 * @param {Samples} samples
 * @param {string} name
 * @param {Sample} sample
 */
function record(samples, name, sample) {
  const rows = samples.get(name) ?? {};
  for (const [measure, value] of Object.entries(sample)) (rows[measure] ??= []).push(value);
  samples.set(name, rows);
}

/**
 * @param {string} what
 * @param {Contender} contender
 * @param {() => Promise<object> | undefined} run
 * @returns {Promise<Sample | undefined>} nothing where the contender can't take part
 */
async function measured(what, contender, run) {
  const running = run();
  if (!running) return undefined;
  process.stderr.write(`${what} ${contender.name}: `);
  const sample = /** @type {Sample} */ (await running);
  const line = Object.entries(sample).map(([measure, value]) => `${measure} ${rounded(value)}`);
  process.stderr.write(`${line.join(", ")}\n`);
  return sample;
}

/**
 * What is measured of each contender in a round, by the row's name; undefined where it can't take part.
 * @type {Record<string, (contender: Contender, file: Fixture, film: Fixture) => Promise<object> | undefined>}
 */
const ROWS = {
  transfer: (contender, file) => transfer(contender, file),
  play: (contender, _, film) => (contender.plays ? play(contender, film) : undefined),
  "two-seeders": (contender, file) => (contender.camp ? twoSeeders(contender, file) : undefined),
  "four-leechers": (contender, file) => (contender.camp ? fourLeechers(contender, file) : undefined),
  "web-seed": (contender, file) => (contender.camp ? webSeedAndPeer(contender, file) : undefined),
};

/** One round: everyone once. @param {Samples} samples @param {ReturnType<typeof options>} plan @param {number} round */
async function playRound(samples, plan, round) {
  const file = await randomMegabytes(plan.megabytes);
  const film = await media("big-moov-first.mp4");
  const turn = round % plan.contenders.length;
  for (const row of plan.rows) {
    for (const contender of [...plan.contenders.slice(turn), ...plan.contenders.slice(0, turn)]) {
      const run = () => ROWS[row](contender, file, film);
      const sample = await measured(`[${round + 1}/${plan.runs}] ${row}`, contender, run);
      if (sample) record(samples, contender.name, sample);
    }
  }
}

/**
 * How memory grows with the torrent: one run, for it takes minutes.
 * @param {Samples} samples
 * @param {ReturnType<typeof options>} plan
 */
async function weighLarge(samples, plan) {
  if (plan.large === 0) return;
  const file = await randomMegabytes(plan.large);
  for (const contender of plan.contenders.filter(({ plays }) => plays)) {
    const sample = await measured(`${plan.large} MB`, contender, () => transfer(contender, file));
    if (!sample) continue;
    record(samples, contender.name, {
      largePeakMegabytes: sample.peakMegabytes,
      largeMedianMegabytes: sample.medianMegabytes,
      largeMegabytesPerSecond: sample.megabytesPerSecond,
    });
  }
}

/**
 * @template T
 * @param {Samples} samples
 * @param {(values: number[]) => T} change
 * @returns {Record<string, Record<string, T>>}
 */
function mapped(samples, change) {
  const row = (/** @type {Record<string, number[]>} */ rows) => {
    return Object.fromEntries(Object.entries(rows).map(([measure, values]) => [measure, change(values)]));
  };
  return Object.fromEntries([...samples].map(([name, rows]) => [name, row(rows)]));
}

/** @param {Samples} samples */
function report(samples) {
  const medians = mapped(samples, (values) => rounded(median(values)));
  return {
    medians,
    bestChannel: bestChannel(medians) ?? null,
    bars: bars(medians),
    samples: mapped(samples, (values) => values.map(rounded)),
  };
}

/** @param {string} name @returns {string} the version that is installed */
function version(name) {
  return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), "utf8")).version;
}

const plan = options();
if (plan.help) {
  console.log(HELP);
} else {
  const machine = {
    cores: cpus().length,
    cpu: cpus()[0].model,
    node: process.version,
    webtorrent: version("webtorrent"),
    loadBefore: loadavg()[0],
  };
  /** @type {Samples} */
  const samples = new Map();
  for (let round = 0; round < plan.runs; round += 1) await playRound(samples, plan, round);
  await weighLarge(samples, plan);
  const { contenders: _, help: __, ...settings } = plan;
  const json = JSON.stringify(
    { settings, machine: { ...machine, loadAfter: loadavg()[0] }, ...report(samples) },
    null,
    2,
  );
  // Lists of numbers on one line.
  console.log(json.replace(/\[[\s\d.,-]+\]/g, (numbers) => numbers.replace(/\s+/g, " ")));
}
