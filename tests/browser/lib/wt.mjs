// People who use webtorrent.js: they seed and download with its browser build, 3.0.21 (pages/webtorrent.html) or 1.9.7
// (pages/webtorrent-1.html).

/** @typedef {import("./people.mjs").Person} Person */

/** @typedef {3 | 1} Version 3.0.21 or 1.9.7 */

/**
 * @param {Person} person
 * @param {string} pages the test pages' address
 * @param {Version} [version]
 */
export async function opens(person, pages, version = 3) {
  // Chromium's own remark on a closed connection, which webtorrent provokes whenever a peer leaves.
  person.expect(/User-Initiated Abort|Ice connection failed|Connection error/i);
  await person.page.goto(`${pages}${version === 1 ? "webtorrent-1" : "webtorrent"}.html`);
  await person.page.waitForFunction(() => "wt" in window);
}

/**
 * @param {Person} person
 * @param {string | string[]} paths of what to seed
 * @param {string[]} trackers
 * @param {{ name?: string, pieceLength?: number }} [options] of `client.seed`
 * @returns {Promise<string>} the magnet link
 */
export async function seeds(person, paths, trackers, options = {}) {
  const input = /** @type {import("puppeteer-core").ElementHandle<HTMLInputElement>} */ (await person.page.$("#file"));
  await input.uploadFile(...[paths].flat());
  const seedOptions = { ...options, announce: trackers };
  return person.page.evaluate((given) => /** @type {any} */ (window).wt.seed(given), seedOptions);
}

/** Sets up what webtorrent plays through. @param {Person} person */
export function preparesToPlay(person) {
  return person.page.evaluate(() => /** @type {any} */ (window).wt.prepareToPlay());
}

/**
 * @param {Person} person
 * @param {string | Uint8Array} source a magnet link, or a `.torrent` file's bytes
 * @param {string[]} [trackers] besides those that the source names
 * @param {{ play?: boolean }} [options]
 */
export async function adds(person, source, trackers = [], { play = false } = {}) {
  const given = typeof source === "string" ? source : [...source];
  await person.page.evaluate((...args) => /** @type {any} */ (window).wt.add(...args), given, trackers, play);
}

/** Waits until everything is downloaded. @param {Person} person */
export async function finishes(person) {
  await person.page.evaluate(() => /** @type {any} */ (window).wt.finished);
}

/**
 * @param {Person} person
 * @param {number} [index] of the file
 * @returns {Promise<string>} SHA-256 of what was downloaded, hex
 */
export function digest(person, index = 0) {
  return person.page.evaluate((file) => /** @type {any} */ (window).wt.digest(file), index);
}

/**
 * @param {Person} person
 * @returns {Promise<{ addedAt: number, connectedAt: number, doneAt: number, downloaded: number, fraction: number }>}
 */
export function progress(person) {
  return person.page.evaluate(() => ({ .../** @type {any} */ (window).wt.progress }));
}

/** The person sends no more than this from now on. @param {Person} person @param {number} rate bytes per second */
export function throttles(person, rate) {
  return person.page.evaluate((limit) => /** @type {any} */ (window).wt.client.throttleUpload(limit), rate);
}

/** The person sends wrong bytes of what they seed from now on. @param {Person} person */
export function startsLying(person) {
  return person.page.evaluate(() => /** @type {any} */ (window).wt.corrupt());
}

/** @param {Person} person @returns {Promise<number>} blocks sent with wrong bytes */
export function lies(person) {
  return person.page.evaluate(() => /** @type {any} */ (window).wt.corrupted);
}

/** @param {Person} person @returns {Promise<string>} their peer id, 40 hex digits */
export function peerId(person) {
  return person.page.evaluate(() => /** @type {any} */ (window).wt.client.peerId);
}
