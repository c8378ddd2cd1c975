// One video that is open in this tab: shared from this device, or opened by a link.
// Invariant: an item is there from the first click on, before the engine knows of it, and until it is removed; it holds
// what the page knows, and never what can be asked of the torrent.

import { mainFile } from "./drop.js";
import { describe } from "./state.js";

/** @typedef {Awaited<ReturnType<import("../swarmreel.js").Swarmreel["add"]>>} Torrent */
/** @typedef {Torrent["files"][number]} TorrentFile */
/** @typedef {ReturnType<Torrent["stats"]>} Stats */

export class Item {
  /**
   * @param {"shared" | "opened"} origin
   * @param {string} name what to call it until the torrent says its name
   * @param {File[]} [sources] the person's own files, if shared
   */
  constructor(origin, name, sources = []) {
    this.origin = origin;
    this.givenName = name;
    this.sources = sources;
    /** @type {Torrent | null} */
    this.torrent = null;
    /** Metadata is known. */
    this.ready = false;
    /** @type {number | null} */
    this.hashing = origin === "shared" ? 0 : null;
    /** @type {import("./problems.js").Problem | null} */
    this.problem = null;
    /** Index of the file on the screen; -1 if none can be shown. */
    this.selected = -1;
    /** Indices of the files being saved. @type {Set<number>} */
    this.saving = new Set();
    this.openedAt = performance.now();
  }

  /** The engine has taken it. @param {Torrent} torrent */
  adopt(torrent) {
    this.torrent = torrent;
    this.hashing = null;
    if (this.origin === "shared") rememberShared(torrent.infoHash);
  }

  get name() {
    return (this.ready && this.torrent?.name) || this.givenName;
  }

  /** @returns {Stats | null} */
  get stats() {
    return this.torrent?.stats() ?? null;
  }

  /** The file that the main Save button saves. */
  get mainIndex() {
    return this.selected >= 0 ? this.selected : 0;
  }

  /** @returns {TorrentFile | undefined} */
  get mainFile() {
    return this.ready ? this.torrent?.files[this.mainIndex] : undefined;
  }

  /** The person's own file that the screen shows, if shared. @returns {File | undefined} */
  get source() {
    const file = this.ready ? this.torrent?.files[this.selected] : undefined;
    return this.sources.find((source) => source.name === file?.name) ?? this.sources[mainSource(this.sources)];
  }

  /**
   * @param {import("./screen.js").ScreenState} screen of this item; "none" while another one is shown
   * @param {boolean} stopped the engine is gone
   */
  words(screen, stopped) {
    return describe({
      stopped,
      origin: this.origin,
      hashing: this.hashing,
      joined: this.torrent !== null,
      ready: this.ready,
      wasShared: this.torrent !== null && wasShared(this.torrent.infoHash),
      screen,
      waited: (performance.now() - this.openedAt) / 1000,
      traffic: this.stats,
    });
  }
}

/** Index of the own file to show first; -1 if none can be shown. @param {readonly File[]} sources */
export function mainSource(sources) {
  return mainFile(sources.map(({ name, type, size }) => ({ name, type, length: size })));
}

// What this tab has shared outlives a reload, though the file itself does not: browsers do not let a page keep it.

/** @param {string} infoHash */
function rememberShared(infoHash) {
  try {
    sessionStorage.setItem(`shared ${infoHash}`, "1");
  } catch {
    // A browser that keeps nothing only loses a kind word.
  }
}

/** @param {string} infoHash */
function wasShared(infoHash) {
  try {
    return sessionStorage.getItem(`shared ${infoHash}`) !== null;
  } catch {
    return false;
  }
}
