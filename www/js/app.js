// The page: wires the parts in ui/ to the public API of swarmreel.js, and knows nothing else of the engine.
// Invariant: the screen shows the item that the address bar names; every other open item goes on until it is removed.

import { Swarmreel } from "./swarmreel.js";
import { intentOf, mainFile } from "./ui/drop.js";
import { FileList, save } from "./ui/files.js";
import { Intake } from "./ui/intake.js";
import { Item, mainSource } from "./ui/item.js";
import { fromFragment, infoHashOf, nameOf, toFragment, unwrap } from "./ui/link.js";
import { Notice } from "./ui/notice.js";
import { PeerList } from "./ui/peers.js";
import { problemOf, problemOfWarning } from "./ui/problems.js";
import { Screen } from "./ui/screen.js";
import { ShareCard } from "./ui/share.js";
import { Shelf } from "./ui/shelf.js";
import { Stage } from "./ui/stage.js";
import { tabTitle } from "./ui/state.js";

/** @typedef {import("./ui/item.js").Torrent} Torrent */

/** How often the numbers are refreshed, milliseconds. */
const REFRESH = 400;

/** @type {Item[]} */
const items = [];
/** @type {Item | null} */
let current = null;
/** A problem that belongs to no item. @type {import("./ui/problems.js").Problem | null} */
let problem = null;

/** Why the engine is not running, once it is not. @type {import("./ui/problems.js").Problem | null} */
let fatal = null;

new Intake({ onLink: openLink, onFiles: openFiles, onFolder: () => complain({ code: "folder" }) });
const screen = new Screen({ onChange: render, onFail: onScreenFail });
const stage = new Stage({ onSave: saveMain, onRemove: () => current && remove(current) });
const share = new ShareCard();
const files = new FileList({ onPlay: selectFile, onSave: saveFile });
const peers = new PeerList();
const shelf = new Shelf({ onOpen: display, onRemove: remove });
const notice = new Notice({ onSave: saveMain, onClose: forgive });

/** The client, or null when there is none and the page has said why. */
const engine = Swarmreel.create().catch((error) => {
  fatal = problemOf(error, "engine-failed");
  render();
  return null;
});

// What comes in

/**
 * @param {string} text
 * @param {boolean} [atOnce] show the link before the engine has taken it
 * @returns {Promise<boolean>} whether the link was taken
 */
async function openLink(text, atOnce = false) {
  forgive();
  const source = unwrap(text);
  if (!source) return complain({ code: "empty-link" });
  const hash = infoHashOf(source);
  const open = hash ? items.find((item) => item.torrent?.infoHash === hash) : undefined;
  if (!open) return join(source, nameOf(source) || "A shared video", atOnce);
  display(open);
  return true;
}

/** @param {File[]} chosen */
async function openFiles(chosen) {
  forgive();
  const intent = intentOf(chosen);
  if (intent.kind === "refused") complain({ code: intent.code });
  else if (intent.kind === "share") await seed(intent.files);
  else for (const file of intent.files) await join(file, file.name);
}

/**
 * @param {string | File} source
 * @param {string} name what to call it until the torrent says its name
 * @param {boolean} [atOnce]
 * @returns {Promise<boolean>} whether it was taken
 */
async function join(source, name, atOnce = false) {
  const item = new Item("opened", name);
  items.push(item);
  if (atOnce) display(item, { keepAddress: true });
  const fallback = typeof source === "string" ? "bad-link" : "bad-torrent";
  const taken = await take(item, (client) => client.add(source), fallback);
  if (taken && !atOnce) display(taken);
  return taken !== null;
}

/** @param {File[]} sources */
async function seed(sources) {
  const item = new Item("shared", titleOf(sources), sources);
  items.push(item);
  display(item);
  const onProgress = (/** @type {number} */ fraction) => void (item.hashing = fraction);
  await take(item, (client) => client.seed(sources, { name: item.givenName, onProgress }), "file-unreadable");
}

/**
 * Has the engine take an item.
 * @param {Item} item
 * @param {(client: Swarmreel) => Promise<Torrent>} ask
 * @param {string} fallback the code of an error that brings none
 * @returns {Promise<Item | null>} the item that stands for it now, or null once it is said why there is none
 */
async function take(item, ask, fallback) {
  const client = await engine;
  if (!client) return null;
  try {
    const torrent = await ask(client);
    if (items.includes(item)) return adopt(item, torrent);
    // It was removed while the engine was at it.
    await torrent.remove();
    return null;
  } catch (error) {
    drop(item);
    complain(error, fallback);
    return null;
  }
}

/** One file's name, or that of the main one of several. @param {File[]} sources */
function titleOf(sources) {
  const main = sources[Math.max(0, mainSource(sources))].name;
  return sources.length === 1 ? main : main.replace(/\.[^.]+$/, "");
}

// What the engine has taken

/** @param {Item} item @param {Torrent} torrent @returns {Item} itself, or the one that was open already */
function adopt(item, torrent) {
  const twin = items.find((other) => other !== item && other.torrent?.infoHash === torrent.infoHash);
  if (twin && item.origin === "opened") {
    const shown = item === current;
    drop(item);
    if (shown) display(twin, { keepAddress: true });
    return twin;
  }
  // Someone who opened their own link and then chose the file again is now its source.
  if (twin) items.splice(items.indexOf(twin), 1);
  item.adopt(torrent);
  torrent.addEventListener("warning", (event) => warn(item, detailOf(event)));
  torrent.addEventListener("error", (event) => fail(item, detailOf(event)));
  torrent.ready.then(
    () => onReady(item, torrent),
    (error) => fail(item, error),
  );
  if (item === current) display(item);
  return item;
}

/** @param {Item} item @param {Torrent} torrent */
function onReady(item, torrent) {
  item.ready = true;
  item.selected = mainFile(torrent.files);
  if (item === current && item.origin === "opened") project(item);
  render();
}

/** @param {Item} item */
async function remove(item) {
  drop(item);
  try {
    await item.torrent?.remove();
  } catch (error) {
    complain(error);
  }
}

/** Takes an item off the page. @param {Item} item */
function drop(item) {
  const index = items.indexOf(item);
  if (index >= 0) items.splice(index, 1);
  if (item === current) display(null);
  else render();
}

// What is on the screen

/**
 * @param {Item | null} item null is the start page
 * @param {{ keepAddress?: boolean }} [options]
 */
function display(item, { keepAddress = false } = {}) {
  const turned = item !== current;
  current = item;
  if (!keepAddress) address(item);
  if (turned) project(item);
  render();
}

/** Lets the address bar name the item, so that it is the share link. @param {Item | null} item */
function address(item) {
  const fragment = item?.torrent ? toFragment(item.torrent, location.host) : "";
  const now = fromFragment(location.hash);
  if (fragment === now || (item?.torrent && infoHashOf(now) === item.torrent.infoHash)) return;
  history.pushState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
}

/** Puts the item's selected file on the screen. @param {Item | null} item */
function project(item) {
  const file = item?.torrent?.files[item.selected];
  const source = item?.source;
  if (source) screen.show(source);
  else if (item?.ready && file && !item.problem?.stuck) screen.play(file);
  else screen.clear();
}

/** @param {number} index of the file */
function selectFile(index) {
  if (!current) return;
  current.selected = index;
  forgive();
  project(current);
}

function saveMain() {
  if (current) saveFile(current.mainIndex);
}

/** @param {number} index of the file */
async function saveFile(index) {
  const item = current;
  const file = item?.torrent?.files[index];
  if (!item || !file || item.saving.has(index)) return;
  item.saving.add(index);
  render();
  try {
    await save(file);
  } catch (error) {
    fail(item, error);
  }
  item.saving.delete(index);
  render();
}

// What goes wrong

/** @param {unknown} error @param {string} [fallback] its code if it has none @returns {false} */
function complain(error, fallback) {
  problem = problemOf(error, fallback);
  render();
  return false;
}

function forgive() {
  problem = null;
  if (current) current.problem = null;
  render();
}

/** @param {Item} item @param {unknown} error */
function fail(item, error) {
  item.problem = problemOf(error);
  if (item.problem.code === "engine-crashed") fatal = item.problem;
  if (item.problem.stuck && item === current) screen.blank();
  render();
}

/** @param {Item} item @param {unknown} warning */
function warn(item, warning) {
  item.problem = problemOfWarning(warning) ?? item.problem;
  render();
}

/** @param {unknown} error null when only the preview of an own file cannot be shown */
function onScreenFail(error) {
  if (current && error !== null) fail(current, error);
}

/** @param {Event} event */
function detailOf(event) {
  return event instanceof CustomEvent ? event.detail : null;
}

// What is seen

function render() {
  document.body.classList.remove("opening");
  document.body.dataset.view = current ? "watch" : "home";
  document.body.dataset.origin = current?.origin ?? "";
  notice.update(fatal ?? problem ?? current?.problem ?? null);
  const others = items.filter((item) => item !== current && (item.torrent || item.hashing !== null));
  shelf.update(others, fatal !== null);
  if (!current) {
    document.title = "Swarmreel";
    return;
  }
  const words = current.words(screen.state, fatal !== null);
  document.title = tabTitle(words, current.name);
  stage.update(current, words);
  share.update(linksOf(current), current.origin === "shared");
  files.update(current);
  const { stats } = current;
  peers.update(stats?.peers ?? [], stats?.webSeeds ?? [], current.origin === "shared" ? "viewer" : "peer");
}

/** @param {Item} item */
function linksOf({ torrent }) {
  if (!torrent) return null;
  const link = `${location.origin}${location.pathname}#${toFragment(torrent, location.host)}`;
  return { link, magnet: torrent.magnetURI };
}

function openAddress() {
  const link = fromFragment(location.hash);
  if (link) openLink(link, true);
  else display(null);
}

addEventListener("hashchange", openAddress);
setInterval(render, REFRESH);
openAddress();
