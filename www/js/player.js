// Plays what the worker appends: one `<video>`, one MediaSource, one SourceBuffer.
//
// Appends go in strictly in order, one at a time; those of an older generation than the newest are dropped. The
// page decides nothing: it says where the player stands and what the user wants, and the worker sends bytes.

import { SwarmreelError } from "./error.js";
import { evictable, jumpTarget, leftover, rangeAt } from "./ranges.js";
import { throttle } from "./throttle.js";

/** @typedef {import("./protocol.js").ToPage} ToPage */
/** @typedef {import("./protocol.js").Append} Append */
/** @typedef {import("./protocol.js").Tell} Tell */
/** @typedef {{ mime: string }} Opening */
/** @typedef {{ generation: number, end: true }} Ending */

/** Time between two words about the position, ms. */
const POSITION_INTERVAL = 250;
/** Time between two seeks while the user drags, ms: each makes the worker ask its peers anew. */
const SEEK_INTERVAL = 150;
/** Seconds kept behind the position, so that a short jump back needs nothing. */
const BEHIND = 60;
/** Seconds kept when the browser's buffer is full. */
const BEHIND_WHEN_FULL = 5;
/** Dropping less than this many seconds is not worth the work. */
const EVICT_MIN = 10;

/** @type {WeakMap<HTMLMediaElement, Player>} */
const players = new WeakMap();

/** iPhones have only the managed kind. @type {typeof MediaSource | undefined} */
const Source = globalThis.MediaSource ?? /** @type {any} */ (globalThis).ManagedMediaSource;

export class Player {
  #video;
  #tell;
  #onFail;
  #listening = new AbortController();
  #source;
  /** @type {SourceBuffer | undefined} */
  #buffer;
  /** @type {(Opening | Append | Ending)[]} */
  #queue = [];
  #generation = 0;
  /** The worker's name for this play, once it has one. @type {number | undefined} */
  #play;
  /** @type {number | undefined} */
  #duration;
  /** Where the newest generation's appends began, or what is left of them. */
  #headStart = 0;
  #reported = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #reportLater;
  #closed = false;
  /** @type {(error?: SwarmreelError) => void} */
  #settle = () => {};

  /** Resolves when the first frame can be shown; rejects when that will never be. @type {Promise<void>} */
  started;

  /**
   * Takes over a media element, from another player too.
   * @param {HTMLMediaElement} video
   * @param {Tell} tell
   * @param {(error: SwarmreelError) => void} onFail called for a failure after the start
   */
  constructor(video, tell, onFail) {
    if (!Source) throw new SwarmreelError("unsupported-browser", "This browser can't play video that is still downloading.");
    players.get(video)?.close();
    players.set(video, this);
    this.#video = video;
    this.#tell = tell;
    this.#onFail = onFail;
    this.started = new Promise((resolve, reject) => {
      this.#settle = (error) => (error ? reject(error) : resolve());
    });
    this.started.catch(() => {});
    this.#source = new Source();
    this.#attach();
  }

  /**
   * The worker has begun the play.
   * @param {number} play its number
   * @param {() => void} forget called when the play is over
   */
  begin(play, forget) {
    this.#play = play;
    if (!this.#closed) return this.#listening.signal.addEventListener("abort", forget);
    forget();
    this.#tell("stop", { play });
  }

  /** @param {ToPage["openMedia"]} message */
  openMedia({ play, tracks, duration }) {
    this.#duration = duration;
    this.#tell("mediaSupport", { play, playable: tracks.map((mime) => Source?.isTypeSupported(mime) ?? false) });
    this.#pump();
  }

  /** @param {ToPage["openBuffer"]} message */
  openBuffer({ mime }) {
    this.#push({ mime });
  }

  /** @param {Append} message */
  append(message) {
    if (message.generation > this.#generation) this.#turnTo(message.generation);
    if (message.generation === this.#generation) this.#push(message);
  }

  /** @param {ToPage["endMedia"]} message */
  endMedia({ generation }) {
    if (generation === this.#generation) this.#push({ generation, end: true });
  }

  /** @param {SwarmreelError} error */
  fail(error) {
    if (this.#closed) return;
    const isStarted = this.#video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
    this.close(error);
    if (isStarted) this.#onFail(error);
  }

  /**
   * Lets go of the media element, and ends the play.
   * @param {SwarmreelError} [error] why
   */
  close(error = new SwarmreelError("stopped", "Something else is playing now.")) {
    if (this.#closed) return;
    this.#closed = true;
    this.#listening.abort();
    clearTimeout(this.#reportLater);
    this.#queue.length = 0;
    if (this.#play !== undefined) this.#tell("stop", { play: this.#play });
    if (players.get(this.#video) === this) {
      players.delete(this.#video);
      this.#video.removeAttribute("src");
      this.#video.load();
    }
    this.#settle(error);
  }

  #attach() {
    const video = this.#video;
    const { signal } = this.#listening;
    const url = URL.createObjectURL(this.#source);
    this.#source.addEventListener("sourceopen", () => (URL.revokeObjectURL(url), this.#pump()), { signal });
    video.src = url;
    // The managed kind demands it.
    video.disableRemotePlayback = true;
    video.addEventListener("loadeddata", () => this.#settle(), { signal });
    video.addEventListener("error", () => this.fail(mediaError(video.error)), { signal });
    video.addEventListener("seeking", throttle(() => this.#seek(), SEEK_INTERVAL), { signal });
    video.addEventListener("waiting", () => this.#unstick(), { signal });
    // Whoever gives the element something else to show has taken it away. A late `emptied` of an earlier source has not.
    video.addEventListener("emptied", () => video.src !== url && this.close(), { signal });
    for (const event of ["timeupdate", "seeked"]) {
      video.addEventListener(event, () => (this.#pump(), this.#report()), { signal });
    }
    // Where the browser wants a gesture first, the user has the controls.
    video.play().catch(() => {});
  }

  /** @param {Opening | Append | Ending} item */
  #push(item) {
    this.#queue.push(item);
    this.#pump();
  }

  /** @param {number} generation */
  #turnTo(generation) {
    this.#generation = generation;
    this.#queue = this.#queue.filter((item) => "mime" in item);
    // Drops a half-parsed fragment. Outside `open` there is none.
    if (this.#buffer && this.#source.readyState === "open" && !this.#evicting) this.#buffer.abort();
  }

  /** A `remove` is running, which can't be aborted. */
  #evicting = false;

  #pump() {
    if (this.#closed || this.#source.readyState === "closed" || this.#buffer?.updating) return;
    try {
      if (this.#duration !== undefined && this.#source.readyState === "open") {
        this.#source.duration = this.#duration;
        this.#duration = undefined;
      }
      const item = this.#queue[0];
      if (item) this.#take(item);
    } catch (error) {
      this.#recover(error);
    }
  }

  /** @param {Opening | Append | Ending} item */
  #take(item) {
    if ("mime" in item) this.#openBuffer(item.mime);
    else if ("end" in item) this.#end();
    else this.#appendNow(item);
    this.#queue.shift();
    if (!this.#buffer?.updating) this.#pump();
  }

  /** @param {string} mime */
  #openBuffer(mime) {
    const buffer = this.#source.addSourceBuffer(mime);
    buffer.addEventListener("updateend", () => this.#updated(), { signal: this.#listening.signal });
    this.#buffer = buffer;
  }

  /** @param {Append} append */
  #appendNow({ bytes, timestampOffset }) {
    if (!this.#buffer) throw new Error("appended before the buffer was opened");
    if (timestampOffset !== undefined) this.#buffer.timestampOffset = timestampOffset;
    this.#buffer.appendBuffer(bytes);
  }

  #end() {
    if (this.#source.readyState === "open") this.#source.endOfStream();
  }

  #updated() {
    this.#evicting = false;
    const time = this.#video.currentTime;
    const old = this.#buffer && evictable(this.#buffer.buffered, time, BEHIND);
    if (old && old.end - (this.#buffer?.buffered.start(0) ?? 0) > EVICT_MIN) this.#evict(old);
    this.#pump();
    this.#jumpGap();
    this.#report();
  }

  /** @param {unknown} error from an append or what goes with it; the item is still first in the queue */
  #recover(error) {
    if (error instanceof DOMException && error.name === "QuotaExceededError") return this.#makeRoom();
    this.fail(new SwarmreelError("broken-media", `The browser can't play this file: ${/** @type {Error} */ (error).message}`));
  }

  /** The buffer is full. If nothing can go yet, the next `timeupdate` tries again. */
  #makeRoom() {
    if (!this.#buffer) return;
    const { buffered } = this.#buffer;
    const time = this.#video.currentTime;
    const range = evictable(buffered, time, BEHIND_WHEN_FULL) ?? leftover(buffered, time);
    if (range) this.#evict(range);
  }

  /** @param {import("./ranges.js").Range} range */
  #evict({ start, end }) {
    if (!this.#buffer || this.#buffer.updating) return;
    this.#evicting = true;
    this.#buffer.remove(start, end);
    if (start <= this.#headStart) this.#headStart = Math.max(this.#headStart, end);
  }

  #seek() {
    if (this.#closed) return;
    const time = this.#video.currentTime;
    const range = this.#buffer && rangeAt(this.#buffer.buffered, time);
    if (!range) this.#askFor(time);
    else if (!this.#continues(range)) this.#askFor(range.end);
    this.#report();
  }

  /** Appends go on at the end of this range. @param {import("./ranges.js").Range} range */
  #continues({ start, end }) {
    return start - 1 <= this.#headStart && this.#headStart <= end;
  }

  /** @param {number} time */
  #askFor(time) {
    if (this.#play === undefined) return;
    this.#headStart = time;
    this.#tell("seek", { play: this.#play, to: time });
  }

  /** The player has run dry. Usually the download is late; but a hole that no append will fill needs asking for. */
  #unstick() {
    this.#jumpGap();
    const time = this.#video.currentTime;
    const range = this.#buffer && rangeAt(this.#buffer.buffered, time);
    if (range && !this.#continues(range)) this.#askFor(time);
    this.#report();
  }

  #jumpGap() {
    const video = this.#video;
    if (!this.#buffer || video.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA) return;
    const target = jumpTarget(this.#buffer.buffered, video.currentTime);
    if (target !== undefined) video.currentTime = target;
  }

  /** Says where the player stands: at most four times a second, but at once when it starves. */
  #report() {
    if (this.#play === undefined || this.#closed) return;
    const wait = this.#reported + POSITION_INTERVAL - performance.now();
    const isStarving = this.#video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
    clearTimeout(this.#reportLater);
    this.#reportLater = undefined;
    if (wait > 0 && !isStarving) {
      this.#reportLater = setTimeout(() => this.#report(), wait);
      return;
    }
    this.#reported = performance.now();
    const time = this.#video.currentTime;
    const range = this.#buffer && rangeAt(this.#buffer.buffered, time);
    this.#tell("position", { play: this.#play, time, bufferedTo: Math.max(time, range?.end ?? time) });
  }
}

/** @param {MediaError | null} error */
function mediaError(error) {
  const detail = error?.message ? `: ${error.message}` : ".";
  return new SwarmreelError("broken-media", `The browser can't play this file${detail}`);
}
