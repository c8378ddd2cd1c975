// Torrents and their files, as the page sees them: mirrors of what the worker says.

import { Player } from "./player.js";
import { Reader, toBlob } from "./reader.js";
import { SwarmreelError } from "./error.js";
import { typeOf } from "./types.js";

/** @typedef {import("./protocol.js").ToPage} ToPage */
/** @typedef {import("./protocol.js").Ready} Ready */
/** @typedef {import("./protocol.js").Stats} WireStats */
/** @typedef {import("./protocol.js").Peer} Peer */
/** @typedef {import("./protocol.js").WebSeed} WebSeed */
/** @typedef {"metadata" | "downloading" | "seeding" | "removed" | "failed"} State */

/**
 * @typedef {object} Stats
 * @property {State} state
 * @property {number} progress the verified part, 0 to 1
 * @property {number} downloaded payload bytes received
 * @property {number} uploaded payload bytes sent
 * @property {number} downloadSpeed bytes per second
 * @property {number} uploadSpeed bytes per second
 * @property {number} wasted bytes received for nothing
 * @property {Peer[]} peers
 * @property {WebSeed[]} webSeeds
 * @property {number} connecting connections being negotiated
 * @property {{ working: number, total: number }} trackers
 * @property {number | null} timeToFirstFrame milliseconds from `add` to the first frame on the screen, or sound
 */

/**
 * What torrents need of their client.
 * @typedef {object} Host
 * @property {import("./engine.js").Engine} engine
 * @property {Map<number, { torrent: Torrent, player: Player }>} plays
 * @property {Map<number, { torrent: Torrent, reader: Reader }>} reads
 * @property {(torrent: Torrent) => void} forget
 */

/**
 * One torrent. Events: `ready`, `progress`, `done`; `peer` (`detail.id`); `warning` and `error`
 * (`detail.code`, `detail.message`).
 */
export class Torrent extends EventTarget {
  /** 40 hex digits. */
  infoHash;
  /** The link that shares it. */
  magnetURI;
  /** Empty until `ready`, unless the magnet link names it. */
  name = "";
  /** Bytes; 0 until `ready`. */
  length = 0;
  /** Bytes; 0 until `ready`. */
  pieceLength = 0;
  /** Empty until `ready`. @type {TorrentFile[]} */
  files = [];
  /** Resolves when the metadata is known. @type {Promise<this>} */
  ready;
  /** Resolves when every piece is verified. @type {Promise<this>} */
  done;

  #host;
  #id;
  #addedAt;
  /** @type {WireStats | undefined} */
  #stats;
  /** @type {State} */
  #state = "metadata";
  /** Why it is over, once it is. @type {SwarmreelError | undefined} @internal */
  _endedBy;
  /** @type {number | null} */
  #timeToFirstFrame = null;
  /** @type {PromiseWithResolvers<this>} */
  #whenReady = withResolvers();
  /** @type {PromiseWithResolvers<this>} */
  #whenDone = withResolvers();

  /**
   * @param {Host} host
   * @param {{ id: number, infoHash: string, magnet: string, addedAt: number }} facts
   * @internal
   */
  constructor(host, { id, infoHash, magnet, addedAt }) {
    super();
    this.#host = host;
    this.#id = id;
    this.#addedAt = addedAt;
    this.infoHash = infoHash;
    this.magnetURI = magnet;
    this.name = new URLSearchParams(magnet.slice(magnet.indexOf("?"))).get("dn") ?? "";
    this.ready = this.#whenReady.promise;
    this.done = this.#whenDone.promise;
  }

  /** @returns {Stats} the latest numbers; they come four times a second, with `progress` events */
  stats() {
    const { length = 0, verified = 0, trackersWorking = 0, trackers = 0 } = this.#stats ?? {};
    return {
      state: this.#state,
      progress: this.#state === "seeding" ? 1 : length > 0 ? verified / length : 0,
      downloaded: this.#stats?.downloaded ?? 0,
      uploaded: this.#stats?.uploaded ?? 0,
      downloadSpeed: this.#stats?.downloadSpeed ?? 0,
      uploadSpeed: this.#stats?.uploadSpeed ?? 0,
      wasted: this.#stats?.wasted ?? 0,
      peers: this.#stats?.peers ?? [],
      webSeeds: this.#stats?.webSeeds ?? [],
      connecting: this.#stats?.connecting ?? 0,
      trackers: { working: trackersWorking, total: trackers },
      timeToFirstFrame: this.#timeToFirstFrame,
    };
  }

  /**
   * Leaves the swarm. What is stored stays for the next time, unless `forget` is set.
   * @param {{ forget?: boolean }} [options]
   */
  async remove({ forget = false } = {}) {
    if (this.#isOver()) return;
    this._end("removed", new SwarmreelError("removed", "The torrent has been removed."));
    this.#host.forget(this);
    await this.#host.engine.ask("remove", { torrent: this.#id, forget }, () => undefined);
  }

  /** @param {Ready} facts @internal */
  _setReady({ name, length, pieceLength, magnet, files }) {
    if (this.#isOver()) return;
    Object.assign(this, { name, length, pieceLength, magnetURI: magnet });
    const host = this.#host;
    const make = (/** @type {Ready["files"][number]} */ file, /** @type {number} */ index) =>
      file.padding ? [] : new TorrentFile(this, { host, torrent: this.#id, index, ...file });
    this.files = files.flatMap(make);
    if (this.#state === "metadata") this.#state = "downloading";
    this.#whenReady.resolve(this);
    this.#announce("ready");
  }

  /** @internal */
  _setDone() {
    if (this.#isOver() || this.#state === "seeding") return;
    this.#state = "seeding";
    for (const file of this.files) file._verified = file.length;
    this.#whenDone.resolve(this);
    this.#announce("done");
  }

  /** @param {WireStats} stats @internal */
  _setStats(stats) {
    if (this.#isOver()) return;
    this.#stats = stats;
    for (const file of this.files) file._verified = stats.filesVerified[file._index] ?? 0;
    this.dispatchEvent(new Event("progress"));
  }

  /**
   * In a task of its own: what is known from the start is told after `add` or `seed` has returned.
   * @param {"ready" | "done"} type
   */
  #announce(type) {
    setTimeout(() => this.dispatchEvent(new Event(type)));
  }

  /** Ends the torrent, which can't go on. @param {SwarmreelError} error @internal */
  _fail(error) {
    this._end("failed", error);
    this.#host.forget(this);
    this.#host.engine.ask("remove", { torrent: this.#id, forget: true }, () => undefined).catch(() => {});
  }

  /** A frame is on the screen. @internal */
  _setFirstFrame() {
    this.#timeToFirstFrame ??= performance.now() - this.#addedAt;
  }

  /** @param {"peer" | "warning" | "error"} type @param {object} detail @internal */
  _tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** @param {"removed" | "failed"} state @param {SwarmreelError} error @internal */
  _end(state, error) {
    if (this.#isOver()) return;
    this.#state = state;
    this._endedBy = error;
    this.#stats = undefined;
    this.#whenReady.reject(error);
    this.#whenDone.reject(error);
    for (const { torrent, player } of this.#host.plays.values()) if (torrent === this) player.close(error);
    for (const { torrent, reader } of [...this.#host.reads.values()]) if (torrent === this) reader.fail(error);
    if (state === "failed") this._tell("error", { code: error.code, message: error.message });
  }

  #isOver() {
    return this.#state === "removed" || this.#state === "failed";
  }
}

/** One file of a torrent. */
export class TorrentFile {
  /** Its own name, without folders. */
  name;
  /** With the torrent's folders, separated by `/`. */
  path;
  /** Bytes. */
  length;
  /** Media type, by its name. */
  type;
  /** @internal */
  _verified = 0;
  /** In the torrent's list. @internal */
  _index;
  #torrent;
  #host;
  #torrentId;

  /**
   * @param {Torrent} torrent
   * @param {{ host: Host, torrent: number, index: number, path: string[], length: number }} facts
   * @internal
   */
  constructor(torrent, { host, torrent: torrentId, index, path, length }) {
    this.#torrent = torrent;
    this.#host = host;
    this.#torrentId = torrentId;
    this._index = index;
    this.name = path.at(-1) ?? "";
    this.path = path.join("/");
    this.length = length;
    this.type = typeOf(this.name);
  }

  /** The verified part, 0 to 1. */
  get progress() {
    return this.length > 0 ? this._verified / this.length : 1;
  }

  /**
   * Plays the file while it downloads. Another file that plays in the same element stops.
   * @param {HTMLMediaElement} video
   * @returns {Promise<void>} resolves when the first frame can be shown
   */
  async play(video) {
    const { engine, plays } = this.#host;
    const torrent = this.#torrent;
    const player = new Player(video, engine.tell, ({ code, message }) => torrent._tell("error", { code, message }));
    notifyFirstFrame(video, () => torrent._setFirstFrame());
    const begin = (/** @type {import("./protocol.js").Reply} */ { id = -1 }) => {
      if (torrent._endedBy) player.close(torrent._endedBy);
      plays.set(id, { torrent, player });
      player.begin(id, () => plays.delete(id));
    };
    try {
      await engine.ask("play", { torrent: this.#torrentId, file: this._index }, begin);
    } catch (error) {
      player.close(/** @type {SwarmreelError} */ (error));
    }
    return player.started;
  }

  /**
   * Reads the file in order as it downloads.
   * @param {{ start?: number, end?: number }} [range] bytes, as for `Blob.slice`: `end` is not included
   * @returns {ReadableStream<Uint8Array<ArrayBuffer>>}
   */
  stream({ start = 0, end = this.length } = {}) {
    const { engine, reads } = this.#host;
    const torrent = this.#torrent;
    const body = { torrent: this.#torrentId, file: this._index, start, end };
    const begin = (/** @type {import("./protocol.js").Reply} */ { id = -1 }) => {
      reads.set(id, { torrent, reader });
      if (torrent._endedBy) reader.fail(torrent._endedBy);
      return id;
    };
    /** @type {Reader} */
    const reader = new Reader(() => engine.ask("read", body, begin), (read) => reads.delete(read), engine.tell);
    return reader.stream;
  }

  /** @returns {Promise<Blob>} the whole file, once it is there */
  blob() {
    return toBlob(this.stream(), this.type);
  }
}

/**
 * @param {HTMLMediaElement} video
 * @param {() => void} heard
 */
function notifyFirstFrame(video, heard) {
  const canTell = "requestVideoFrameCallback" in video;
  if (canTell) /** @type {HTMLVideoElement} */ (video).requestVideoFrameCallback(heard);
  const hasPicture = () => /** @type {HTMLVideoElement} */ (video).videoWidth > 0;
  video.addEventListener("loadeddata", () => (canTell && hasPicture()) || heard(), { once: true });
}

/**
 * A promise to be settled from outside; no one need listen to it.
 * @template T
 * @returns {PromiseWithResolvers<T>}
 */
function withResolvers() {
  /** @type {PromiseWithResolvers<T>} */
  const made = /** @type {any} */ ({});
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  made.promise.catch(() => {});
  return made;
}
