// The messages between the page and the worker, as src/protocol.rs has them: `{ kind: body }`, one key.
// Types only; nothing of this is loaded.

/** What the page says. A body with `call` is a wish, answered by one `reply` or `refused`. Times are seconds. */
export interface FromPage {
  addText: { call: number; text: string; trackers: string[]; webSeeds: string[] };
  addTorrent: { call: number; bytes: Uint8Array; trackers: string[]; webSeeds: string[] };
  seed: { call: number; files: { path: string[]; file: File }[]; options: SeedOptions; trackers: string[] };
  remove: { call: number; torrent: number; forget: boolean };
  play: { call: number; torrent: number; file: number };
  stop: { play: number };
  read: { call: number; torrent: number; file: number; start: number; end: number };
  readMore: { read: number; credit: number };
  closeRead: { read: number };
  destroy: { call: number };

  mediaSupport: { play: number; playable: boolean[] };
  position: { play: number; time: number; bufferedTo: number };
  seek: { play: number; to: number };

  networkChanged: {};

  channel: { link: number; channel: RTCDataChannel };
  spare: { channel: RTCDataChannel };
  spareTaken: { link: number };
  forwarded: { link: number };
  linkOpened: { link: number };
  linkData: { link: number; bytes: Uint8Array };
  linkBuffered: { link: number; buffered: number };
  /** ICE gets no answers from the other side for now, or gets them again. */
  linkReachable: { link: number; reachable: boolean };
  linkClosed: { link: number };
  offerReady: { link: number; sdp: string };
  answerReady: { link: number; sdp: string };

  /** Heard by worker.js alone, first of all. */
  start: { trackers: string[]; persistent: boolean; relayOnly: boolean };
}

/** What may be chosen about a new torrent. */
export interface SeedOptions {
  name?: string;
  pieceLength?: number;
  comment?: string;
  webSeeds: string[];
  superSeed?: boolean;
}

/** What the worker says; several at a time, in an array. */
export interface ToPage {
  reply: { call: number } & Reply;
  refused: { call: number; code: string; message: string };
  hashing: { call: number; fraction: number };

  ready: Ready;
  done: { torrent: number };
  peer: { torrent: number; id: string };
  warning: { torrent: number; code: string; message: string };
  failed: { torrent: number; code: string; message: string };
  stats: Stats;

  openMedia: { play: number; tracks: string[]; duration?: number };
  openBuffer: { play: number; mime: string };
  append: Append;
  endMedia: { play: number; generation: number };
  playFailed: { play: number; code: string; message: string };
  deliver: { read: number; bytes: Uint8Array<ArrayBuffer>; last: boolean };

  offer: { link: number };
  answer: { link: number; sdp: string };
  accept: { link: number; sdp: string };
  linkSend: { link: number; bytes: Uint8Array<ArrayBuffer> };
  closeLink: { link: number };

  /** Said by worker.js: the engine runs. `bufferLow`: report a channel whose buffer holds at most so many bytes. */
  started: { bufferLow: number };
  /** Said by worker.js: the engine is gone. */
  crashed: { message: string };
}

/** What a wish has made. */
export interface Reply {
  id?: number;
  infoHash?: string;
  magnet?: string;
}

/** The next bytes of a SourceBuffer. */
export interface Append {
  play: number;
  generation: number;
  bytes: Uint8Array<ArrayBuffer>;
  timestampOffset?: number;
}

/** A torrent's metadata. */
export interface Ready {
  torrent: number;
  name: string;
  length: number;
  pieceLength: number;
  magnet: string;
  files: { path: string[]; length: number; padding: boolean }[];
}

/** A torrent's numbers: bytes, and bytes per second. */
export interface Stats {
  torrent: number;
  verified: number;
  length: number;
  filesVerified: number[];
  downloaded: number;
  uploaded: number;
  downloadSpeed: number;
  uploadSpeed: number;
  wasted: number;
  trackersWorking: number;
  trackers: number;
  connecting: number;
  peers: Peer[];
  webSeeds: WebSeed[];
}

/** A web seed's numbers. */
export interface WebSeed {
  url: string;
  /** `resting`: it failed, and is tried again later; `off`: it sent wrong data, or this page may not fetch from it. */
  state: "idle" | "fetching" | "resting" | "off";
  downloaded: number;
  downloadSpeed: number;
}

/** A peer's numbers. */
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

/** Says something to the worker. */
export type Tell = <K extends keyof FromPage>(kind: K, body: FromPage[K], transfer?: Transferable[]) => void;
