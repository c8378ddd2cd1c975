// Watching a `<video>` the way a person does: by the frames that reach the screen. Invariant: a frame counts only when
// `requestVideoFrameCallback` reported it, and its clock (lib/media.mjs) is read from the pixels that were drawn.
import assert from "node:assert/strict";
import { CLOCK_BITS } from "./media.mjs";

/** @typedef {import("puppeteer-core").Page} Page */

/**
 * @typedef {object} Sight what a person has seen so far
 * @property {number} frames frames shown since `watch`
 * @property {number} mediaTime seconds, of the last one
 * @property {number} clock the second its pixels say it is; -1 when they can't be read
 * @property {number} at `performance.now()` of the last one
 * @property {number} firstAt `performance.now()` of the first one
 */

/** Starts counting the frames of a video. @param {Page} page @param {string} selector */
export async function watch(page, selector = "video") {
  await page.waitForSelector(selector);
  await page.evaluate(startWatching, selector, CLOCK_BITS);
}

/** Runs in the page. @param {string} selector @param {number} bits */
function startWatching(selector, bits) {
  const video = /** @type {HTMLVideoElement} */ (document.querySelector(selector));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [bits * 20, 60];
  const pencil = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  const readClock = () => {
    pencil.drawImage(video, 0, 0, canvas.width, canvas.height);
    let second = 0;
    for (let bit = 0; bit < bits; bit += 1) {
      const [red] = pencil.getImageData(bit * 20 + 10, 12, 1, 1).data;
      if (red > 80 && red < 175) return -1; // Neither black nor white: not our picture.
      if (red >= 175) second += 2 ** bit;
    }
    return second;
  };
  const sight = { frames: 0, mediaTime: -1, clock: -1, at: 0, firstAt: 0 };
  /** @type {any} */ (window).sight = sight;
  const saw = (/** @type {number} */ now, /** @type {{ mediaTime: number }} */ { mediaTime }) => {
    sight.frames += 1;
    sight.firstAt ||= now;
    Object.assign(sight, { mediaTime, clock: readClock(), at: now });
    video.requestVideoFrameCallback(saw);
  };
  video.requestVideoFrameCallback(saw);
}

/** @param {Page} page @returns {Promise<Sight>} */
export function sight(page) {
  return page.evaluate(() => /** @type {any} */ (window).sight);
}

/**
 * Waits until more frames were shown than before.
 * @param {Page} page
 * @param {number} [count]
 * @param {number} [timeout] ms
 */
export async function seesFrames(page, count = 10, timeout = 40_000) {
  await page.evaluate(() => {
    const w = /** @type {any} */ (window);
    w.framesBefore = w.sight.frames;
  });
  await page.waitForFunction(
    (more) => {
      const w = /** @type {any} */ (window);
      return w.sight.frames >= w.framesBefore + more;
    },
    { timeout, polling: 50 },
    count,
  );
  const seen = await sight(page);
  assertRightPicture(seen);
  return seen;
}

/** @param {Sight} seen the pixels must show the second that the frame's time names */
export function assertRightPicture(seen) {
  const near = [Math.floor(seen.mediaTime - 0.1), Math.floor(seen.mediaTime), Math.floor(seen.mediaTime + 0.1)];
  assert.ok(near.includes(seen.clock), `the frame of ${seen.mediaTime.toFixed(3)} s shows second ${seen.clock}`);
}

/**
 * Seeks, and waits for the frames of that place.
 * @param {Page} page
 * @param {number} fraction of the duration
 * @param {string} [selector]
 */
export async function seeksTo(page, fraction, selector = "video") {
  const target = await page.evaluate(seek, selector, fraction);
  await page.waitForFunction(
    (from) => /** @type {any} */ (window).sight.mediaTime >= from - 0.2,
    { timeout: 40_000, polling: 50 },
    target,
  );
  const seen = await sight(page);
  assertRightPicture(seen);
  return seen;
}

/** Runs in the page. @param {string} selector @param {number} fraction */
function seek(selector, fraction) {
  const video = /** @type {HTMLVideoElement} */ (document.querySelector(selector));
  const target = video.duration * fraction;
  video.currentTime = target;
  return target;
}
