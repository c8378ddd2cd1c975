// People who use our public JavaScript API, on an empty page of our site. Invariant: only what `/swarmreel.js` exports
// is used.

/** @typedef {import("./people.mjs").Person} Person */

/**
 * @typedef {object} Options
 * @property {"opfs" | "memory"} [storage]
 * @property {boolean} [transferChannels]
 * @property {string[]} [trackers]
 * @property {RTCIceServer[]} [iceServers]
 * @property {RTCIceTransportPolicy} [iceTransportPolicy]
 */

/**
 * Opens an empty document of the site and creates a client there. The page's `me` keeps what later steps need.
 * @param {Person} person
 * @param {string} site
 * @param {Options} [options] of `Swarmreel.create`
 */
export async function opens(person, site, options = {}) {
  person.expect(/favicon\.ico/); // Chromium asks for one wherever a document names none.
  await person.page.evaluateOnNewDocument(countSends);
  await person.page.goto(`${site}health`);
  await person.page.evaluate(openClient, options);
}

/** Runs in every document of the page before its scripts, and in no worker. */
function countSends() {
  const w = /** @type {any} */ (window);
  const { send } = RTCDataChannel.prototype;
  w.pageSends = 0;
  RTCDataChannel.prototype.send = function (/** @type {any} */ data) {
    w.pageSends += 1;
    return send.call(this, data);
  };
}

/**
 * @param {Person} person
 * @returns {Promise<number>} messages that the page itself sent on data channels; a worker's are not counted
 */
export function pageSends(person) {
  return person.page.evaluate(() => /** @type {any} */ (window).pageSends);
}

/** Runs in the page. @param {Options} options */
async function openClient(options) {
  const url = "/swarmreel.js";
  const { Swarmreel } = await import(url);
  const video = document.createElement("video");
  Object.assign(video, { muted: true, autoplay: true, controls: true, width: 640 });
  const input = document.createElement("input");
  Object.assign(input, { type: "file", id: "file", multiple: true });
  document.body.replaceChildren(input, video);
  const client = await Swarmreel.create(options);
  Object.assign(window, { me: { client, video, events: [], times: { addedAt: 0, connectedAt: 0, doneAt: 0 } } });
}

/**
 * @param {Person} person
 * @param {string | string[]} paths of what to seed
 * @param {object} [options] of `client.seed`
 * @returns {Promise<{ infoHash: string, magnet: string }>}
 */
export async function seeds(person, paths, options = {}) {
  await chooses(person, [paths].flat());
  return person.page.evaluate(async (seedOptions) => {
    const { me } = /** @type {any} */ (window);
    const { files } = /** @type {any} */ (document.querySelector("#file"));
    me.torrent = await me.client.seed(files.length === 1 ? files[0] : files, seedOptions);
    await me.torrent.ready;
    return { infoHash: me.torrent.infoHash, magnet: me.torrent.magnetURI };
  }, options);
}

/** Puts files into the document's file input. @param {Person} person @param {string[]} paths */
export async function chooses(person, paths) {
  const input = /** @type {import("puppeteer-core").ElementHandle<HTMLInputElement>} */ (await person.page.$("#file"));
  await input.uploadFile(...paths);
}

/**
 * Adds a torrent, and plays its first file if asked.
 * @param {Person} person
 * @param {string | Uint8Array} source magnet link, info hash, or the bytes of a `.torrent` file
 * @param {{ play?: boolean, file?: number, webSeeds?: string[] }} [options] `file`: which one to play
 */
export async function adds(person, source, { play = false, file = 0, webSeeds } = {}) {
  const plain = typeof source === "string" ? source : [...source];
  await person.page.evaluate(addTorrent, plain, play ? file : -1, webSeeds && { webSeeds });
}

/** Runs in the page. @param {string | number[]} source @param {number} file to play; -1: none @param {object} [options] */
async function addTorrent(source, file, options) {
  const { me } = /** @type {any} */ (window);
  const { times } = me;
  times.addedAt = performance.now();
  const torrent = await me.client.add(typeof source === "string" ? source : Uint8Array.from(source), options);
  me.torrent = torrent;
  torrent.addEventListener("peer", () => (times.connectedAt ||= performance.now()));
  for (const type of ["warning", "error"]) {
    torrent.addEventListener(type, (/** @type {CustomEvent} */ { detail }) => me.events.push({ type, ...detail }));
  }
  torrent.done.then(
    () => (times.doneAt = performance.now()),
    () => {},
  );
  const started = torrent.ready.then(() => file >= 0 && torrent.files[file].play(me.video));
  started.catch((/** @type {any} */ error) =>
    me.events.push({ type: "play", code: error.code, message: error.message }),
  );
}

/** Waits until everything is downloaded. @param {Person} person */
export async function finishes(person) {
  await person.page.evaluate(() => /** @type {any} */ (window).me.torrent.done.then(() => {}));
}

/** Waits for the end, and says when things happened. @param {Person} person */
export async function times(person) {
  await finishes(person);
  return person.page.evaluate(() => ({ .../** @type {any} */ (window).me.times }));
}

/**
 * Waits until the figures, which come a few times a second, say that much was moved.
 * @param {Person} person
 * @param {"downloaded" | "uploaded"} figure
 * @param {number} bytes
 */
export async function moves(person, figure, bytes) {
  const moved = (/** @type {string} */ name, /** @type {number} */ enough) =>
    /** @type {any} */ (window).me.torrent.stats()[name] >= enough;
  await person.page.waitForFunction(moved, { timeout: 10_000, polling: 50 }, figure, bytes);
}

/** @param {Person} person @returns {Promise<any>} `torrent.stats()` */
export function stats(person) {
  return person.page.evaluate(() => JSON.parse(JSON.stringify(/** @type {any} */ (window).me.torrent.stats())));
}

/**
 * @param {Person} person
 * @returns {Promise<{ type: string, code: string, message: string }[]>} warnings and errors heard so far
 */
export function events(person) {
  return person.page.evaluate(() => /** @type {any} */ (window).me.events);
}

/**
 * @param {Person} person
 * @param {number} [index] of the file
 * @returns {Promise<string>} SHA-256 of `file.blob()`, hex
 */
export function digest(person, index = 0) {
  return person.page.evaluate(async (file) => {
    const blob = await /** @type {any} */ (window).me.torrent.files[file].blob();
    const hash = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
    return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }, index);
}

/**
 * @param {Person} person
 * @param {string} infoHash
 * @returns {Promise<boolean>} whether the browser's private file system has a folder for a torrent
 */
export function isOnDisk(person, infoHash) {
  return person.page.evaluate(async (folder) => {
    const root = await navigator.storage.getDirectory();
    const found = root.getDirectoryHandle("swarmreel").then((all) => all.getDirectoryHandle(folder));
    return found.then(
      () => true,
      () => false,
    );
  }, infoHash);
}
