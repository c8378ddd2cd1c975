// The player against a media element of paper: what it asks of the worker, and when.

import assert from "node:assert/strict";
import { test } from "node:test";

const [HAVE_METADATA, HAVE_CURRENT_DATA, HAVE_FUTURE_DATA] = [1, 2, 3];

/** What is buffered is as the test says. */
class FakeBuffer extends EventTarget {
  updating = false;
  appended = 0;
  /** @type {[number, number][]} */
  removed = [];
  /** @type {[number, number][]} */
  ranges = [];

  get buffered() {
    const { ranges } = this;
    return { length: ranges.length, start: (index) => ranges[index][0], end: (index) => ranges[index][1] };
  }

  appendBuffer() {
    this.updating = true;
    this.appended += 1;
  }

  remove(start, end) {
    this.updating = true;
    this.removed.push([start, end]);
  }

  abort() {
    this.updating = false;
  }

  /** The update is over. @param {[number, number][]} ranges what is buffered now */
  update(...ranges) {
    this.ranges = ranges;
    this.updating = false;
    this.dispatchEvent(new Event("updateend"));
  }
}

class FakeSource extends EventTarget {
  readyState = "open";
  ends = 0;
  buffer = new FakeBuffer();

  addSourceBuffer() {
    return this.buffer;
  }

  endOfStream() {
    this.readyState = "ended";
    this.ends += 1;
  }
}

class FakeVideo extends EventTarget {
  currentTime = 0;
  readyState = HAVE_METADATA;
  seeking = false;
  error = null;

  async play() {}
  load() {}
  removeAttribute() {}

  /** @param {string} type */
  fire(type) {
    this.dispatchEvent(new Event(type));
  }
}

/** @type {FakeSource} */
let source;
globalThis.MediaSource = /** @type {any} */ (function () {
  return (source = new FakeSource());
});
globalThis.HTMLMediaElement = /** @type {any} */ ({ HAVE_FUTURE_DATA });
URL.createObjectURL = () => "blob:film";
const { Player } = await import("./player.js");
const { Torrent } = await import("./torrent.js");

/** A player whose buffer is open. */
function open() {
  const video = new FakeVideo();
  const told = [];
  const failures = [];
  const tell = (kind, body) => told.push({ kind, ...body });
  const player = new Player(/** @type {any} */ (video), tell, (error) => failures.push(error));
  player.begin(1, () => {});
  player.openBuffer({ play: 1, mime: "video/mp4" });
  const append = (generation) => player.append({ play: 1, generation, bytes: new Uint8Array(1) });
  const seeks = () => told.filter(({ kind }) => kind === "seek").map(({ to }) => to);
  return { video, player, buffer: source.buffer, source, failures, append, seeks };
}

/** A film that has been appended and shown up to here. */
function openAt(time, ...ranges) {
  const all = open();
  all.append(0);
  all.buffer.update(...ranges);
  all.video.fire("loadeddata");
  all.video.currentTime = time;
  all.video.readyState = HAVE_FUTURE_DATA;
  return all;
}

/** The user drags to here. @param {FakeVideo} video @param {number} time */
function drag(video, time) {
  Object.assign(video, { currentTime: time, readyState: HAVE_METADATA, seeking: true });
  video.fire("seeking");
}

/** Nothing is left to show. @param {FakeVideo} video */
function stall(video) {
  video.readyState = HAVE_CURRENT_DATA;
  video.fire("waiting");
}

test("dragging asks for the first place at once, and for the last one at the end", ({ mock }) => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { video, seeks } = openAt(5, [0, 10]);
  for (const time of [100, 110, 120, 130]) drag(video, time);
  assert.deepEqual(seeks(), [100]);
  mock.timers.tick(1000);
  assert.deepEqual(seeks(), [100, 130]);
});

test("a late download is waited for, wherever a drop has ended", () => {
  const { video, buffer, append, seeks } = openAt(115, [0, 118]);
  append(0);
  buffer.update([0, 120]);
  assert.deepEqual(buffer.removed, [[0, 55]]);
  buffer.update([58.3, 120]);
  video.currentTime = 120;
  stall(video);
  assert.deepEqual(seeks(), []);
});

test("what was dropped under the player is asked for once, and then further behind is kept", () => {
  const { video, buffer, append, seeks } = openAt(95, [0, 120]);
  buffer.ranges = [[100, 120]];
  stall(video);
  stall(video);
  assert.deepEqual(seeks(), [95]);
  append(1);
  buffer.update([90, 120]);
  video.readyState = HAVE_FUTURE_DATA;
  video.currentTime = 195;
  append(1);
  buffer.update([90, 220]);
  assert.deepEqual(buffer.removed, []);
});

test("a full buffer loses what earlier seeks have left first", () => {
  const { video, buffer, append } = openAt(55, [0, 60]);
  buffer.ranges = [[0, 10], [30, 60]];
  buffer.appendBuffer = () => {
    throw new DOMException("full", "QuotaExceededError");
  };
  append(0);
  assert.deepEqual(buffer.removed, [[0, 10]]);
  buffer.update([30, 60]);
  assert.deepEqual(buffer.removed.slice(1), [[0, 35]]);
  buffer.update([36, 60]);
  assert.equal(buffer.removed.length, 2, "the position's own group of pictures stays");
  stall(video);
  assert.deepEqual(buffer.removed.slice(2), [[0, 50]]);
});

test("a film that begins late is shown from its beginning", () => {
  const { video, buffer, append, seeks } = open();
  append(0);
  buffer.update([3600, 3602]);
  assert.equal(video.currentTime, 3600);
  assert.deepEqual(seeks(), []);
});

test("a failure while a seek waits for data is told", async () => {
  const { video, player, failures } = openAt(5, [0, 10]);
  await player.started;
  drag(video, 100);
  player.fail(Object.assign(new Error("gone"), { code: "broken-media" }));
  assert.equal(failures.length, 1);
});

test("a failure before the first frame rejects, and is told no other way", async () => {
  const { player, failures } = open();
  player.fail(Object.assign(new Error("gone"), { code: "broken-media" }));
  await assert.rejects(player.started, { message: "gone" });
  assert.equal(failures.length, 0);
});

test("a seek behind everything ends the film; the end of an earlier generation doesn't", () => {
  const { video, player, source } = openAt(5, [0, 10]);
  drag(video, 100);
  player.endMedia({ play: 1, generation: 0 });
  assert.equal(source.ends, 0);
  player.endMedia({ play: 1, generation: 1 });
  assert.equal(source.ends, 1);
});

test("appends of before a seek are dropped, and say nothing about where the new ones go on", () => {
  const { video, buffer, append, seeks } = openAt(5, [0, 10]);
  append(0);
  append(0);
  drag(video, 100);
  append(0);
  buffer.update([0, 11]);
  assert.equal(buffer.appended, 2);
  append(1);
  buffer.update([0, 11], [98, 102]);
  Object.assign(video, { seeking: false, currentTime: 102 });
  stall(video);
  assert.deepEqual(seeks(), [100]);
});

test("a play or a read that begins when its torrent is over fails", async () => {
  const told = [];
  const host = {
    engine: {
      tell: (kind, body) => told.push({ kind, ...body }),
      // The torrent ends while the answer is on its way.
      ask: async (kind, _body, accept) => kind === "remove" || accept(await torrent.remove().then(() => ({ id: 7 }))),
    },
    plays: new Map(),
    reads: new Map(),
    forget: () => {},
  };
  const torrent = new Torrent(/** @type {any} */ (host), { id: 1, infoHash: "", magnet: "magnet:?", addedAt: 0 });
  const files = [{ path: ["a.mp4"], length: 1, padding: false }];
  torrent._setReady({ torrent: 1, name: "a.mp4", length: 1, pieceLength: 1, magnet: "magnet:?", files });
  const [file] = torrent.files;
  await assert.rejects(file.play(/** @type {any} */ (new FakeVideo())), { code: "removed" });
  await assert.rejects(file.stream().getReader().read(), { code: "removed" });
  assert.deepEqual(told, [{ kind: "stop", play: 7 }, { kind: "closeRead", read: 7 }]);
  assert.deepEqual([host.plays.size, host.reads.size], [0, 0]);
});
