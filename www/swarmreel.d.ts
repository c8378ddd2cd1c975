// Types of the public API, `/swarmreel.js`. swarmreel.test.ts holds them against the code.

/** What everything here throws, rejects with, and reports in `error` events. */
export class SwarmreelError extends Error {
  constructor(code: string, message: string);
  /** For programs, e.g. `bad-magnet`, `unsupported-codec`, `engine-crashed`. The message is for people. */
  code: string;
}

export interface Options {
  /** `ws:` or `wss:` URLs; by default the page's own host. */
  trackers?: string[];
  /** By default those of `/config.json`. */
  iceServers?: RTCIceServer[];
  /** `relay`: connect by TURN servers only, so that no peer and no tracker's user learns this machine's address. */
  iceTransportPolicy?: RTCIceTransportPolicy;
  /** Where pieces are kept; `opfs` (the default) where the browser has it. */
  storage?: "opfs" | "memory";
  /** `false` keeps data channels on the page, as browsers that can't move them do. */
  transferChannels?: boolean;
}

export interface SeedOptions {
  /** The torrent's name; by default that of the file or its folder. */
  name?: string;
  /** Besides the client's. */
  trackers?: string[];
  /** Bytes, a power of two from 16 KiB to 32 MiB. */
  pieceLength?: number;
  comment?: string;
  /** `http:` or `https:` addresses where the same files lie (BEP 19): the file, or the folder that holds the torrent's. */
  webSeeds?: string[];
  /**
   * Shows each peer one piece at a time until somebody has each (BEP 16): the first copy then costs hardly more upload
   * than its size. By default everything is shown at once.
   */
  superSeed?: boolean;
  /** Told how much has been hashed, 0 to 1. */
  onProgress?: (fraction: number) => void;
}

export interface AddOptions {
  /** Web servers to fetch from besides those that the source names (BEP 19). They must allow this page to (CORS). */
  webSeeds?: string[];
}

/** One peer, in a worker of its own. */
export class Swarmreel {
  private constructor();
  /** Starts a peer. */
  static create(options?: Options): Promise<Swarmreel>;
  /** Every torrent that has not been removed. */
  readonly torrents: Torrent[];
  /**
   * Joins a swarm, by a magnet link, an info hash (40 hex digits or 32 of base32), or a `.torrent` file. A torrent that
   * is there already is returned again.
   */
  add(source: string | ArrayBuffer | Uint8Array | Blob, options?: AddOptions): Promise<Torrent>;
  /** Shares files, in torrent order. They are hashed first, and read where they lie. */
  seed(files: File | Iterable<File> | ArrayLike<File>, options?: SeedOptions): Promise<Torrent>;
  /** Leaves every swarm and ends the worker. What is stored stays. */
  destroy(): Promise<void>;
}

export interface Peer {
  /** Its peer id, 40 hex digits. */
  id: string;
  /** What it runs. */
  client: string;
  /** The part of the content that it has, 0 to 1. */
  progress: number;
  downloaded: number;
  uploaded: number;
  downloadSpeed: number;
  uploadSpeed: number;
  unchokedUs: boolean;
  interestedInUs: boolean;
}

export interface WebSeed {
  url: string;
  /** `resting`: it failed, and is tried again later; `off`: it sent wrong data, or this page may not fetch from it. */
  state: "idle" | "fetching" | "resting" | "off";
  downloaded: number;
  downloadSpeed: number;
}

/** Numbers of a torrent: bytes, and bytes per second. */
export interface Stats {
  state: "metadata" | "downloading" | "seeding" | "removed" | "failed";
  /** The verified part, 0 to 1. */
  progress: number;
  downloaded: number;
  uploaded: number;
  downloadSpeed: number;
  uploadSpeed: number;
  /** Received for nothing. */
  wasted: number;
  peers: Peer[];
  webSeeds: WebSeed[];
  /** Connections being negotiated. */
  connecting: number;
  trackers: { working: number; total: number };
  /** Milliseconds from `add` to the first frame on the screen, or sound; null before. */
  timeToFirstFrame: number | null;
}

/**
 * One torrent. Events: `ready`, `progress`, `done`; `peer` (`detail.id`); `warning` and `error` (`detail.code`,
 * `detail.message`).
 */
export class Torrent extends EventTarget {
  private constructor();
  /** 40 hex digits. */
  infoHash: string;
  /** The link that shares it. */
  magnetURI: string;
  /** Empty until `ready`, unless the magnet link names it. */
  name: string;
  /** Bytes; 0 until `ready`. */
  length: number;
  /** Bytes; 0 until `ready`. */
  pieceLength: number;
  /** Empty until `ready`. */
  files: TorrentFile[];
  /** Resolves when the metadata is known. */
  ready: Promise<this>;
  /** Resolves when every piece is verified. */
  done: Promise<this>;
  /** The latest numbers; they come four times a second, with `progress` events. */
  stats(): Stats;
  /** Leaves the swarm. What is stored stays for the next time, unless `forget` is set. */
  remove(options?: { forget?: boolean }): Promise<void>;
}

/** One file of a torrent. */
export class TorrentFile {
  private constructor();
  /** Its own name, without folders. */
  name: string;
  /** With the torrent's folders, separated by `/`. */
  path: string;
  /** Bytes. */
  length: number;
  /** Media type, by its name. */
  type: string;
  /** The verified part, 0 to 1. */
  readonly progress: number;
  /** Plays the file while it downloads. Resolves when the first frame can be shown. */
  play(video: HTMLMediaElement): Promise<void>;
  /** Reads the file in order as it downloads. Bytes, as for `Blob.slice`: `end` is not included. */
  stream(range?: { start?: number; end?: number }): ReadableStream<Uint8Array<ArrayBuffer>>;
  /** The whole file, once it is there. */
  blob(): Promise<Blob>;
}
