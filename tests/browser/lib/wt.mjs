// People who use webtorrent.js 3.0.21: they seed and download with its browser build (pages/webtorrent.html).

/** @typedef {import("./people.mjs").Person} Person */

/** @param {Person} person @param {string} pages the test pages' address */
export async function opens(person, pages) {
  // Chromium's own remark on a closed connection, which webtorrent provokes whenever a peer leaves.
  person.expect(/User-Initiated Abort|Ice connection failed|Connection error/i);
  await person.page.goto(`${pages}webtorrent.html`);
  await person.page.waitForFunction(() => "wt" in window);
}

/**
 * @param {Person} person
 * @param {string} path the file to seed
 * @param {string[]} trackers
 * @returns {Promise<string>} the magnet link
 */
export async function seeds(person, path, trackers) {
  const input = /** @type {import("puppeteer-core").ElementHandle<HTMLInputElement>} */ (await person.page.$("#file"));
  await input.uploadFile(path);
  return person.page.evaluate((list) => /** @type {any} */ (window).wt.seed(list), trackers);
}

/** Sets up what webtorrent plays through. @param {Person} person */
export function preparesToPlay(person) {
  return person.page.evaluate(() => /** @type {any} */ (window).wt.prepareToPlay());
}

/**
 * @param {Person} person
 * @param {string} magnet
 * @param {string[]} trackers
 * @param {{ play?: boolean }} [options]
 */
export async function adds(person, magnet, trackers, { play = false } = {}) {
  await person.page.evaluate((...args) => /** @type {any} */ (window).wt.add(...args), magnet, trackers, play);
}

/** Waits until everything is downloaded. @param {Person} person */
export async function finishes(person) {
  await person.page.evaluate(() => /** @type {any} */ (window).wt.finished);
}

/** @param {Person} person @returns {Promise<string>} SHA-256 of what was downloaded, hex */
export function digest(person) {
  return person.page.evaluate(() => /** @type {any} */ (window).wt.digest());
}

/**
 * @param {Person} person
 * @returns {Promise<{ addedAt: number, connectedAt: number, doneAt: number, downloaded: number, fraction: number }>}
 */
export function progress(person) {
  return person.page.evaluate(() => ({ .../** @type {any} */ (window).wt.progress }));
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
