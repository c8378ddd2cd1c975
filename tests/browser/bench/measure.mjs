// One measured run of one contender. Invariant: a run has browsers, servers and profiles of its own; nothing is warm
// from the last.
import { median } from "./bars.mjs";
import { Stage } from "../lib/stage.mjs";
import { Meter } from "../lib/process-tree.mjs";
import { assertRightPicture, sight, watch } from "../lib/watch.mjs";

/** @typedef {import("./contenders.mjs").Contender} Contender */
/** @typedef {import("./contenders.mjs").Session} Session */
/** @typedef {import("../lib/media.mjs").Fixture} Fixture */

/**
 * @typedef {object} Transfer
 * @property {number} megabytesPerSecond from the open channel to the last byte
 * @property {number} megabytesPerSecondFromAdd the same, with the time it took to find the peer
 * @property {number} connectMs from `add` to the open channel
 * @property {number} cpuSeconds of the downloader's whole browser, from `add` to the last byte
 * @property {number} peakMegabytes proportional set size of the downloader's whole browser
 * @property {number} medianMegabytes the same, half of the time. The garbage collector's saw teeth are up to 60 MB
 *   high in any page that receives that fast, and a long download meets more of them: a higher peak is no growth
 * @property {number} grownMegabytes the peak less what the browser took before `add`
 * @property {number} longTasks on the downloader's page
 * @property {number} longestTaskMs
 */

/**
 * Downloads a file without playing it.
 * @param {Contender} contender
 * @param {Fixture} fixture
 * @returns {Promise<Transfer>}
 */
export async function transfer(contender, fixture) {
  return onStage(contender, fixture, false, async (session) => {
    await watchTasks(session);
    const meter = new Meter(session.viewer.pid);
    await session.add();
    const times = await session.finished();
    const used = meter.stop();
    const tasks = await longTasks(session);
    const megabytes = fixture.length / 1e6;
    const peak = Math.max(...used.memory);
    return {
      megabytesPerSecond: megabytes / ((times.doneAt - times.connectedAt) / 1000),
      megabytesPerSecondFromAdd: megabytes / ((times.doneAt - times.addedAt) / 1000),
      connectMs: times.connectedAt - times.addedAt,
      cpuSeconds: used.cpuSeconds,
      peakMegabytes: peak / 1e6,
      medianMegabytes: median(used.memory) / 1e6,
      grownMegabytes: (peak - used.memory[0]) / 1e6,
      longTasks: tasks.length,
      longestTaskMs: Math.max(0, ...tasks),
    };
  });
}

/**
 * @typedef {object} Play
 * @property {number} firstFrameMs from `add` to the first frame on the screen
 * @property {number} seekMs from a seek to 75 % to the first frame of that place
 * @property {number} playLongestTaskMs on the viewer's page, from `add` to that frame
 */

/**
 * Plays a film from its link, and seeks as soon as it shows.
 * @param {Contender} contender
 * @param {Fixture} film
 * @returns {Promise<Play>}
 */
export async function play(contender, film) {
  return onStage(contender, film, true, async (session) => {
    const { page } = session.viewer;
    await watch(page);
    await watchTasks(session);
    const addedAt = await page.evaluate(() => performance.now());
    await session.add();
    await page.waitForFunction(() => /** @type {any} */ (window).sight.frames > 0, { timeout: 60_000, polling: 20 });
    const first = await sight(page);
    const seekMs = await page.evaluate(timeSeek, 0.75);
    assertRightPicture(await sight(page));
    return {
      firstFrameMs: first.firstAt - addedAt,
      seekMs,
      playLongestTaskMs: Math.max(0, ...(await longTasks(session))),
    };
  });
}

/** Runs in the page. @param {number} fraction @returns {Promise<number>} ms from the seek to its first frame */
async function timeSeek(fraction) {
  const video = /** @type {HTMLVideoElement} */ (document.querySelector("video"));
  const target = video.duration * fraction;
  const from = performance.now();
  video.currentTime = target;
  for (;;) {
    const { now, mediaTime } = await new Promise((resolve) => {
      video.requestVideoFrameCallback((now, frame) => resolve({ now, mediaTime: frame.mediaTime }));
    });
    if (mediaTime >= target - 0.2) return now - from;
  }
}

/**
 * @template T
 * @param {Contender} contender
 * @param {Fixture} fixture
 * @param {boolean} plays
 * @param {(session: Session) => Promise<T>} run
 * @returns {Promise<T>}
 */
async function onStage(contender, fixture, plays, run) {
  const stage = new Stage();
  try {
    return await run(await contender.open(stage, fixture, plays));
  } catch (error) {
    await stage.keepEvidence(`bench-${contender.name}`);
    throw error;
  } finally {
    await stage.close();
  }
}

/** @param {Session} session */
async function watchTasks({ viewer }) {
  await viewer.page.evaluate(() => {
    const tasks = /** @type {number[]} */ ([]);
    new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => tasks.push(duration))).observe({
      type: "longtask",
    });
    Object.assign(window, { tasks });
  });
}

/**
 * @param {Session} session
 * @returns {Promise<number[]>} tasks of more than 50 ms, ms (the browser reports no shorter ones)
 */
function longTasks({ viewer }) {
  return viewer.page.evaluate(() => /** @type {any} */ (window).tasks);
}
