// What is dropped is understood by its name and type.

import assert from "node:assert/strict";
import { test } from "node:test";
import { intentOf, mainFile } from "./drop.js";

/** @param {string} name @param {string} [type] @param {number} [size] */
const file = (name, type = "", size = 10) => ({ name, type, size, length: size });

test("a video is shared, with what lies beside it", () => {
  const files = [file("film.mp4", "video/mp4"), file("film.srt", "text/plain")];
  assert.deepEqual(intentOf(files), { kind: "share", files });
});

test("an extension is enough where the system knows no type", () => {
  assert.equal(intentOf([file("FILM.MKV")]).kind, "share");
  assert.equal(intentOf([file("song.m4a")]).kind, "share");
});

test("a .torrent is opened, even among other files", () => {
  const torrent = file("film.torrent");
  assert.deepEqual(intentOf([file("film.mp4", "video/mp4"), torrent]), { kind: "torrent", files: [torrent] });
});

test("what can't be shared is refused with its reason", () => {
  assert.deepEqual(intentOf([file("letter.pdf", "application/pdf")]), { kind: "refused", code: "not-media" });
  assert.deepEqual(intentOf([file("film.mp4", "video/mp4", 0)]), { kind: "refused", code: "empty-file" });
  assert.deepEqual(intentOf([]), { kind: "refused", code: "not-media" });
});

test("the largest video or audio file is played first", () => {
  const files = [file("big.iso", "", 900), file("trailer.mp4", "video/mp4", 20), file("film.webm", "video/webm", 300)];
  assert.equal(mainFile(files), 2);
  assert.equal(mainFile([file("read me.txt", "text/plain")]), -1);
});
