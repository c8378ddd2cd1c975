// Our peer and webtorrent.js, of today (3.0.21) and of yesterday (1.9.7), one seeding and one downloading.
//
// How the eight scenes cover what can differ. Version, role and our browser are combined in full. Each of the other
// things is the exclusive or of two or three of them, which makes the table an orthogonal array (OA(8, 2^7)): every
// pair of things meets in all four combinations, twice. The first test holds the table to that.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as api from "./lib/api.mjs";
import { media, sha256 } from "./lib/media.mjs";
import { openHouse } from "./lib/people.mjs";
import { scene } from "./lib/stage.mjs";
import { makeTorrent } from "./lib/torrent-file.mjs";
import * as ui from "./lib/ui.mjs";
import { seesFrames, watch } from "./lib/watch.mjs";
import * as wt from "./lib/wt.mjs";

/** @typedef {import("./lib/stage.mjs").Stage} Stage */
/** @typedef {import("./lib/people.mjs").House} House */
/** @typedef {import("./lib/people.mjs").Kind} Kind */

/**
 * @typedef {object} Row
 * @property {wt.Version} version
 * @property {"seeds" | "downloads"} role ours
 * @property {Kind} ours our browser
 * @property {Kind} theirs their browser
 * @property {"magnet" | ".torrent"} link what the downloader is given
 * @property {"one file" | "two files"} content
 * @property {"our server" | "bittorrent-tracker"} tracker
 */

/** @param {number} bits version, role and our browser, a bit each @returns {Row} */
function row(bits) {
  const [a, b, c] = [bits & 1, (bits >> 1) & 1, (bits >> 2) & 1];
  return {
    version: a ? 1 : 3,
    role: b ? "seeds" : "downloads",
    ours: c ? "firefox" : "chromium",
    theirs: b ^ c ? "firefox" : "chromium",
    link: a ^ b ? ".torrent" : "magnet",
    content: a ^ c ? "two files" : "one file",
    tracker: a ^ b ^ c ? "bittorrent-tracker" : "our server",
  };
}

/** @type {Record<Row["content"], string[]>} */
const FILMS = {
  "one file": ["small-moov-first.mp4"],
  "two files": ["small-moov-first.mp4", "small.webm"],
};
const PIECE_LENGTH = 65_536;

const ROWS = Array.from({ length: 8 }, (_, bits) => row(bits));

test("the scenes cover every pair of what can differ", () => {
  const things = /** @type {(keyof Row)[]} */ (Object.keys(ROWS[0]));
  for (const [index, one] of things.entries()) {
    for (const other of things.slice(index + 1)) {
      const met = new Set(ROWS.map((scene) => `${scene[one]} ${scene[other]}`));
      assert.equal(met.size, 4, `${one} and ${other}: ${[...met]}`);
    }
  }
});

/** @type {Record<Kind, House>} */
const houses = /** @type {any} */ ({});
before(async () => {
  for (const kind of /** @type {const} */ (["chromium", "firefox"])) houses[kind] = await openHouse(kind);
});
after(() => Promise.all(Object.values(houses).map((house) => house.discard())));

for (const { version, role, ours, theirs, link, content, tracker } of ROWS) {
  const who = `ours in ${ours} ${role}, webtorrent ${version} in ${theirs}`;
  scene(`${who}: ${link}, ${content}, ${tracker}`, async (stage) => {
    const films = await Promise.all(FILMS[content].map(media));
    const [server, { url }] = [await stage.swarmreel(), await stage.pages()];
    const at = tracker === "our server" ? server.tracker : (await stage.tracker()).tracker;
    const us = await stage.person(ours, { name: "us", house: houses[ours] });
    const them = await stage.person(theirs, { name: "them", house: houses[theirs] });
    await Promise.all([api.opens(us, server.site, { trackers: [at] }), wt.opens(them, url, version)]);

    const paths = films.map(({ path }) => path);
    const name = content === "one file" ? films[0].name : "Two films";
    const torrent = await makeTorrent(name, PIECE_LENGTH, paths, { tracker: at });
    const options = { name, pieceLength: PIECE_LENGTH };
    const magnet =
      role === "seeds" ? (await api.seeds(us, paths, options)).magnet : await wt.seeds(them, paths, [at], options);
    assert.ok(magnet.includes(torrent.infoHash), `${magnet} is of another torrent than ${torrent.infoHash}`);

    const source = link === "magnet" ? magnet : torrent.bytes;
    const downloader = role === "seeds" ? { ...wt, person: them } : { ...api, person: us };
    await (role === "seeds" ? wt.adds(them, source) : api.adds(us, source));
    await downloader.finishes(downloader.person);
    for (const [index, path] of paths.entries()) {
      assert.equal(await downloader.digest(downloader.person, index), await sha256(path));
    }
  });
}

scene("webtorrent seeds, our page plays and saves", async (stage) => {
  const film = await media("small-moov-first.mp4");
  const [server, { url }] = [await stage.swarmreel(), await stage.pages()];
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person("chromium", { name: "bob" });
  await wt.opens(alice, url);
  const magnet = await wt.seeds(alice, film.path, [server.tracker]);
  await ui.opens(bob, server.site);
  await watch(bob.page, ui.VIDEO);
  await ui.pastes(bob, magnet);
  await seesFrames(bob.page);
  await ui.finishes(bob);
  assert.equal(await ui.saves(bob, film), await sha256(film.path));
});

scene("our peer seeds, webtorrent plays and keeps it", async (stage) => {
  const film = await media("small-moov-first.mp4");
  const [server, { url }] = [await stage.swarmreel(), await stage.pages()];
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person("chromium", { name: "bob" });
  await api.opens(alice, server.site);
  const { magnet } = await api.seeds(alice, film.path);
  await wt.opens(bob, url);
  await wt.preparesToPlay(bob);
  await watch(bob.page);
  await wt.adds(bob, magnet, [], { play: true });
  await seesFrames(bob.page);
  await wt.finishes(bob);
  assert.equal(await wt.digest(bob), await sha256(film.path));
});
