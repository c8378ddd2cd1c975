// Plays what the worker appends: one `<video>`, one MediaSource, one SourceBuffer.
//
// Appends go in strictly in order, one at a time; those asked for before the newest seek are dropped. The page
// decides nothing: it says where the player stands and what it lacks, and the worker sends bytes.

import { SwarmreelError } from "./error.js";
import { evictable, grown, jumpTarget, leftOut, leftover, lost, missing, rangeAt } from "./ranges.js";
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
/** Seconds kept when the browser's buffer is full: `remove` goes on to the next random access point. */
const BEHIND_WHEN_FULL = 20;
/** Seconds kept when it is full and the player starves. What goes too far then is asked for again. */
const BEHIND_WHEN_STARVING = 5;
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
  /** Counts the seeks, as the worker does. */
  #generation = 0;
  /** The worker's name for this play, once it has one. @type {number | undefined} */
  #play;
  /** @type {number | undefined} */
  #duration;
  /** Where this generation's appends go on, seconds. */
  #head = 0;
  /** Where the media has nothing, as appends have shown. @type {import("./ranges.js").Range | undefined} */
  #nothing;
  /** What was buffered when the running append began. @type {TimeRanges | undefined} */
  #before;
  /** A `remove` is running, which can't be aborted. */
  #evicting = false;
  /** Seconds kept behind the position. */
  #behind = BEHIND;
  #hasStarted = false;
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
    if (message.generation === this.#generation) this.#push(message);
  }

  /** @param {ToPage["endMedia"]} message */
  endMedia({ generation }) {
    if (generation === this.#generation) this.#push({ generation, end: true });
  }

  /** @param {SwarmreelError} error */
  fail(error) {
    if (this.#closed) return;
    this.close(error);
    if (this.#hasStarted) this.#onFail(error);
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
    video.addEventListener("loadeddata", () => this.#start(), { signal });
    video.addEventListener("error", () => this.fail(mediaError(video.error)), { signal });
    video.addEventListener("seeking", throttle(() => this.#seek(), SEEK_INTERVAL), { signal });
    for (const event of ["waiting", "stalled"]) {
      video.addEventListener(event, () => (this.#pump(), this.#unstick()), { signal });
    }
    // Whoever gives the element something else to show has taken it away. A late `emptied` of an earlier source has not.
    video.addEventListener("emptied", () => video.src !== url && this.close(), { signal });
    for (const event of ["timeupdate", "seeked"]) {
      video.addEventListener(event, () => (this.#pump(), this.#report()), { signal });
    }
    // Where the browser wants a gesture first, the user has the controls.
    video.play().catch(() => {});
  }

  #start() {
    this.#hasStarted = true;
    this.#settle();
  }

  /** @param {Opening | Append | Ending} item */
  #push(item) {
    this.#queue.push(item);
    this.#pump();
  }

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
    this.#before = this.#buffer.buffered;
  }

  #end() {
    if (this.#source.readyState === "open") this.#source.endOfStream();
  }

  #updated() {
    // The word of an aborted append may come when the next one runs.
    if (!this.#buffer || this.#buffer.updating) return;
    this.#evicting = false;
    const { buffered } = this.#buffer;
    this.#advance(buffered);
    const old = evictable(buffered, this.#video.currentTime, this.#behind);
    if (old && old.end - buffered.start(0) > EVICT_MIN) this.#evict(old);
    this.#pump();
    this.#unstick();
  }

  /** Where an append has come to. @param {TimeRanges} buffered */
  #advance(buffered) {
    if (!this.#before) return;
    const added = grown(this.#before, buffered);
    this.#before = undefined;
    if (added) this.#nothing = leftOut(added, this.#head) ?? this.#nothing;
    // What has changed no range has gone into the one that it went on from.
    this.#head = (added ?? rangeAt(buffered, this.#head))?.end ?? this.#head;
  }

  /** @param {unknown} error from an append or what goes with it; the item is still first in the queue */
  #recover(error) {
    if (error instanceof DOMException && error.name === "QuotaExceededError") return this.#makeRoom();
    this.fail(new SwarmreelError("broken-media", `The browser can't play this file: ${/** @type {Error} */ (error).message}`));
  }

  /** The buffer is full. If nothing can go yet, the next `timeupdate` or `waiting` tries again. */
  #makeRoom() {
    if (!this.#buffer) return;
    const { buffered } = this.#buffer;
    const time = this.#video.currentTime;
    const behind = this.#isStarving() ? BEHIND_WHEN_STARVING : BEHIND_WHEN_FULL;
    const range = leftover(buffered, time, this.#head) ?? evictable(buffered, time, behind);
    if (range) this.#evict(range);
  }

  /** @param {import("./ranges.js").Range} range */
  #evict({ start, end }) {
    if (!this.#buffer || this.#buffer.updating) return;
    this.#evicting = true;
    this.#buffer.remove(start, end);
  }

  /** The user has jumped. */
  #seek() {
    if (this.#closed) return;
    const time = this.#video.currentTime;
    this.#askFor(this.#buffer ? missing(this.#buffer.buffered, time, this.#head) : time);
    this.#report();
  }

  /** @param {number | undefined} time from where appends are needed, if they are; those under way are of no use */
  #askFor(time) {
    if (this.#play === undefined || time === undefined) return;
    this.#generation += 1;
    this.#queue = this.#queue.filter((item) => "mime" in item);
    // Drops a half-parsed fragment. Outside `open` there is none.
    if (this.#buffer && this.#source.readyState === "open" && !this.#evicting) this.#buffer.abort();
    this.#head = time;
    this.#before = this.#nothing = undefined;
    this.#tell("seek", { play: this.#play, to: time });
  }

  /** The player may have run dry. Usually the download is late; but a hole that no append will fill needs help. */
  #unstick() {
    if (this.#isStarving() && !this.#jump()) this.#repair();
    this.#report();
  }

  /** @returns {boolean} whether there was a place to jump to */
  #jump() {
    const target = this.#buffer && jumpTarget(this.#buffer.buffered, this.#video.currentTime, this.#nothing);
    if (target === undefined) return false;
    this.#video.currentTime = target;
    return true;
  }

  /** Asks again for what was dropped though it is needed: by the browser for want of room, or by a `remove`. */
  #repair() {
    const { currentTime: time, seeking } = this.#video;
    // In the middle of an update, what is buffered is in pieces.
    if (!this.#buffer || this.#buffer.updating || seeking) return;
    const from = lost(this.#buffer.buffered, time, this.#head);
    // Where random access points are far apart, `remove` goes too far: next time, further behind.
    if (from === time) this.#behind *= 2;
    this.#askFor(from);
  }

  #isStarving() {
    return this.#video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
  }

  /** Says where the player stands: at most four times a second, but at once when it starves. */
  #report() {
    if (this.#play === undefined || this.#closed) return;
    const wait = this.#reported + POSITION_INTERVAL - performance.now();
    clearTimeout(this.#reportLater);
    this.#reportLater = undefined;
    if (wait > 0 && !this.#isStarving()) {
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
