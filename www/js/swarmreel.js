// The public API of Swarmreel in the browser.
//
//   import { Swarmreel } from "/swarmreel.js";
//   const client = await Swarmreel.create();
//   const torrent = await client.add("magnet:?xt=urn:btih:…");
//   await torrent.ready;
//   await torrent.files[0].play(document.querySelector("video"));
//
// No third party is contacted: the tracker is the page's own host, and ICE servers are what that host names.

import { Connections } from "./rtc.js";
import { Engine } from "./engine.js";
import { SwarmreelError } from "./error.js";
import { IceServers } from "./ice.js";
import { Network } from "./network.js";
import { Torrent, TorrentFile } from "./torrent.js";

export { SwarmreelError, Torrent, TorrentFile };

/** @typedef {import("./torrent.js").Stats} Stats */
/** @typedef {import("./protocol.js").Peer} Peer */
/** @typedef {import("./protocol.js").Reply} Reply */

/**
 * @typedef {object} Options
 * @property {string[]} [trackers] `ws:` or `wss:` URLs; by default the page's own host
 * @property {RTCIceServer[]} [iceServers] by default those of `/config.json`
 * @property {RTCIceTransportPolicy} [iceTransportPolicy] `relay`: connect by TURN servers only, so that no peer and no
 *   tracker's user learns this machine's address
 * @property {"opfs" | "memory"} [storage] where pieces are kept; `opfs` (the default) where the browser has it
 * @property {boolean} [transferChannels] `false` keeps data channels on the page, as browsers that can't move them do
 */

/**
 * @typedef {object} SeedOptions
 * @property {string} [name] the torrent's name; by default that of the file or its folder
 * @property {string[]} [trackers] besides the client's
 * @property {number} [pieceLength] bytes, a power of two from 16 KiB to 32 MiB
 * @property {string} [comment]
 * @property {string[]} [webSeeds] `http:` or `https:` addresses where the same files lie (BEP 19); the torrent names them
 * @property {boolean} [superSeed] shows each peer one piece at a time until somebody has each (BEP 16): the first copy
 *   then costs hardly more upload than its size
 * @property {(fraction: number) => void} [onProgress] told how much has been hashed, 0 to 1
 */

/**
 * @typedef {object} AddOptions
 * @property {string[]} [webSeeds] web servers to fetch from besides those that the source names (BEP 19)
 */

/** One peer, in a worker of its own. */
export class Swarmreel {
  #trackers;
  #engine;
  /** @type {Connections | undefined} */
  #connections;
  #iceServers = new IceServers((iceServers) => this.#connections?.useServers(iceServers));
  #network = new Network(() => {
    this.#connections?.renew();
    this.#engine.tell("networkChanged", {});
  });
  /** @type {Map<number, Torrent>} */
  #torrents = new Map();
  /** @type {Map<number, { torrent: Torrent, player: import("./player.js").Player }>} */
  #plays = new Map();
  /** @type {Map<number, { torrent: Torrent, reader: import("./reader.js").Reader }>} */
  #reads = new Map();
  #destroyed = false;

  /**
   * Starts a peer.
   * @param {Options} [options]
   * @returns {Promise<Swarmreel>}
   */
  static async create(options = {}) {
    if (!("RTCPeerConnection" in globalThis)) {
      throw new SwarmreelError("no-webrtc", "This browser can't connect to other people's browsers: it has no WebRTC.");
    }
    const trackers = options.trackers ?? [ownTracker()];
    const persistent = (options.storage ?? "opfs") === "opfs";
    const { iceTransportPolicy = "all", transferChannels = true } = options;
    const client = new Swarmreel(trackers);
    const [iceServers, { bufferLow }] = await Promise.all([
      options.iceServers ?? client.#iceServers.load(),
      client.#engine.start({ trackers, persistent, relayOnly: iceTransportPolicy === "relay" }),
    ]);
    const rtc = { iceServers, iceTransportPolicy };
    client.#connections = new Connections(client.#engine.tell, { rtc, bufferLow, transferChannels });
    client.#connections.warmUp();
    client.#iceServers.watch();
    client.#network.watch();
    addEventListener("pagehide", client.#leave);
    return client;
  }

  /** Use `Swarmreel.create`. @param {string[]} trackers @internal */
  constructor(trackers) {
    this.#trackers = trackers;
    this.#engine = new Engine(this.#handlers());
  }

  /** Every torrent that has not been removed. */
  get torrents() {
    return [...this.#torrents.values()];
  }

  /**
   * Joins a swarm. A torrent that is there already is returned again.
   * @param {string | ArrayBuffer | Uint8Array | Blob} source a magnet link, an info hash (40 hex digits or 32 of
   *   base32), or a `.torrent` file
   * @param {AddOptions} [options]
   * @returns {Promise<Torrent>}
   */
  async add(source, { webSeeds = [] } = {}) {
    const addedAt = performance.now();
    const accept = (/** @type {Reply} */ reply) => this.#torrent(reply, addedAt);
    const trackers = this.#trackers;
    if (typeof source === "string") {
      return this.#engine.ask("addText", { text: source.trim(), trackers, webSeeds }, accept);
    }
    const bytes = await bytesOf(source);
    return this.#engine.ask("addTorrent", { bytes, trackers, webSeeds }, accept, { transfer: [bytes.buffer] });
  }

  /**
   * Shares files. They are hashed first, and read where they lie.
   * @param {File | Iterable<File> | ArrayLike<File>} files in torrent order
   * @param {SeedOptions} [options]
   * @returns {Promise<Torrent>}
   */
  async seed(files, options = {}) {
    const { name, trackers = [], webSeeds = [], pieceLength, comment, superSeed = false, onProgress } = options;
    const list = files instanceof File ? [files] : Array.from(files ?? []);
    if (!list.every((file) => file instanceof File)) {
      throw new SwarmreelError("bad-seed", "Only files can be shared.");
    }
    const body = {
      files: list.map((file) => ({ file, path: (file.webkitRelativePath || file.name).split("/") })),
      options: { name, pieceLength, comment, superSeed, webSeeds },
      trackers: [...this.#trackers, ...trackers],
    };
    const accept = (/** @type {Reply} */ reply) => this.#torrent(reply, performance.now());
    return this.#engine.ask("seed", body, accept, { onHashing: onProgress });
  }

  /** Leaves every swarm and ends the worker. What is stored stays. */
  async destroy() {
    if (this.#destroyed) return;
    this.#destroyed = true;
    removeEventListener("pagehide", this.#leave);
    const error = new SwarmreelError("destroyed", "This client has been shut down.");
    for (const torrent of this.torrents) torrent._end("removed", error);
    await this.#engine.ask("destroy", {}, () => undefined).catch(() => {});
    this.#end(error);
  }

  /** Peers notice a closed connection at once, and a vanished one late. */
  #leave = () => this.#connections?.end();

  /**
   * @param {Reply} reply to `add` or `seed`
   * @param {number} addedAt
   */
  #torrent({ id = -1, infoHash = "", magnet = "" }, addedAt) {
    const known = this.#torrents.get(id);
    if (known) return known;
    const host = {
      engine: this.#engine,
      plays: this.#plays,
      reads: this.#reads,
      forget: () => void this.#torrents.delete(id),
    };
    const torrent = new Torrent(host, { id, infoHash, magnet, addedAt });
    this.#torrents.set(id, torrent);
    return torrent;
  }

  /** @param {SwarmreelError} error */
  #end(error) {
    this.#network.end();
    this.#iceServers.end();
    this.#connections?.end();
    for (const { player } of [...this.#plays.values()]) player.close(error);
    for (const { reader } of [...this.#reads.values()]) reader.fail(error);
    this.#torrents.clear();
    this.#engine.end(error);
  }

  #crash() {
    const error = new SwarmreelError("engine-crashed", "The engine has stopped because of a fault. Reload the page to go on.");
    for (const torrent of this.torrents) torrent._end("failed", error);
    this.#end(error);
  }

  /** @returns {import("./engine.js").Handlers} */
  #handlers() {
    const torrent = (/** @type {number} */ id) => this.#torrents.get(id);
    const player = (/** @type {number} */ id) => this.#plays.get(id)?.player;
    return {
      ready: (facts) => torrent(facts.torrent)?._setReady(facts),
      done: (message) => torrent(message.torrent)?._setDone(),
      stats: (stats) => torrent(stats.torrent)?._setStats(stats),
      peer: ({ torrent: id, ...detail }) => torrent(id)?._tell("peer", detail),
      warning: ({ torrent: id, ...detail }) => torrent(id)?._tell("warning", detail),
      failed: ({ torrent: id, code, message }) => torrent(id)?._fail(new SwarmreelError(code, message)),

      openMedia: (message) => player(message.play)?.openMedia(message),
      openBuffer: (message) => player(message.play)?.openBuffer(message),
      append: (message) => player(message.play)?.append(message),
      endMedia: (message) => player(message.play)?.endMedia(message),
      playFailed: ({ play, code, message }) => player(play)?.fail(new SwarmreelError(code, message)),
      deliver: (message) => this.#reads.get(message.read)?.reader.deliver(message),

      offer: (message) => this.#connections?.offer(message),
      answer: (message) => this.#connections?.answer(message),
      accept: (message) => this.#connections?.accept(message),
      linkSend: (message) => this.#connections?.send(message),
      closeLink: (message) => this.#connections?.close(message),

      crashed: () => this.#crash(),
    };
  }
}

function ownTracker() {
  return `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/`;
}

/**
 * @param {ArrayBuffer | Uint8Array | Blob} source
 * @returns {Promise<Uint8Array<ArrayBuffer>>} a copy that may be transferred
 */
async function bytesOf(source) {
  if (source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
  if (source instanceof ArrayBuffer || source instanceof Uint8Array) return new Uint8Array(source).slice();
  throw new SwarmreelError("bad-torrent", "Only a magnet link, an info hash or a torrent file can be added.");
}
