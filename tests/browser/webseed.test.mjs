// Web seeds (BEP 19) from real servers on other origins: alone, beside peers, and when they are not what they should be.
import assert from "node:assert/strict";
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as api from "./lib/api.mjs";
import { media, randomMegabytes, sha256 } from "./lib/media.mjs";
import { scene } from "./lib/stage.mjs";
import { makeTorrent } from "./lib/torrent-file.mjs";
import * as ui from "./lib/ui.mjs";
import { seesFrames, watch } from "./lib/watch.mjs";
import * as wt from "./lib/wt.mjs";

/** @typedef {import("./lib/stage.mjs").Stage} Stage */
/** @typedef {import("./lib/people.mjs").Person} Person */
/** @typedef {import("./lib/people.mjs").Kind} Kind */

/** Nobody to meet: what comes can only come from a web server. */
const NO_TRACKERS = { trackers: [] };
/** Browsers report each request that they block, or that fails, in the console. */
const BLOCKED = /CORS|Cross-Origin|Failed to load resource|ERR_|status of/i;

/** @param {Stage} stage @param {Kind} kind @param {object} [options] of the client */
async function opener(stage, kind, options = NO_TRACKERS) {
  const { site } = await stage.swarmreel();
  const bob = await stage.person(kind, { name: "bob" });
  await api.opens(bob, site, options);
  return bob;
}

for (const kind of /** @type {Kind[]} */ (["chromium", "firefox"])) {
  scene(`${kind}: a film plays from a web seed alone, jumps, and is complete`, async (stage) => {
    const film = await media("big-moov-last.mp4");
    const web = await stage.web({ [film.name]: film.path });
    const { bytes } = await makeTorrent(film.name, 256 * 1024, [film.path], { webSeeds: [`${web.url}${film.name}`] });
    const bob = await opener(stage, kind);
    await watch(bob.page);
    await api.adds(bob, bytes, { play: true });
    await seesFrames(bob.page);
    await bob.page.evaluate(() => void (/** @type {any} */ (window).me.video.currentTime = 45));
    await bob.page.waitForFunction(() => /** @type {any} */ (window).sight.mediaTime >= 44.5, { polling: 50 });
    await seesFrames(bob.page, 5);
    await api.finishes(bob);
    assert.equal(await api.digest(bob), await sha256(film.path));
    assert.ok(web.requests.every(({ method }) => method === "GET"), "no preflight is needed");
    assert.ok(web.sent() < film.length * 1.5, `${web.sent()} bytes were sent of a film of ${film.length}`);
    const { webSeeds, wasted } = await api.stats(bob);
    assert.deepEqual(webSeeds.map((/** @type {any} */ { url }) => url), [`${web.url}${film.name}`]);
    assert.ok(webSeeds[0].downloaded >= film.length && wasted < film.length / 5, `${wasted} bytes were wasted`);
  });

  scene(`${kind}: many files with odd names, and padding between them`, async (stage) => {
    const film = await media("small-moov-first.mp4");
    const folder = await mkdtemp(join(tmpdir(), "swarmreel-odd-"));
    const paths = ["50% off #1?.txt", "empty.bin", "Ünï cöde.mp4"].map((name) => join(folder, name));
    try {
      await writeFile(paths[0], "a text of a few words");
      await writeFile(paths[1], "");
      await copyFile(film.path, paths[2]);
      const files = Object.fromEntries(paths.map((path) => [`all/Odd & even/${path.slice(folder.length + 1)}`, path]));
      const web = await stage.web(files);
      const options = { padded: true, webSeeds: [`${web.url}all`] };
      const { bytes } = await makeTorrent("Odd & even", 32 * 1024, paths, options);
      const bob = await opener(stage, kind);
      await api.adds(bob, bytes);
      await api.finishes(bob);
      assert.equal(await api.digest(bob, 0), await sha256(paths[0]));
      assert.equal(await api.digest(bob, 2), await sha256(film.path));
      assert.ok(!web.requests.some(({ path }) => /pad|empty/.test(path)), JSON.stringify(web.requests));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}

scene("our page needs nobody for a link that names a torrent file: it says where the film comes from", async (stage) => {
  const film = await media("small-moov-first.mp4");
  /** @type {Record<string, string | Buffer>} */
  const files = { [film.name]: film.path };
  const web = await stage.web(files);
  const torrent = await makeTorrent(film.name, 64 * 1024, [film.path], { webSeeds: [`${web.url}${film.name}`] });
  files["film.torrent"] = torrent.bytes;
  const { site } = await stage.swarmreel();
  const bob = await stage.person("chromium", { name: "bob" });
  await ui.opens(bob, site);
  await watch(bob.page, ui.VIDEO);
  await ui.pastes(bob, `magnet:?xt=urn:btih:${torrent.infoHash}&xs=${encodeURIComponent(`${web.url}film.torrent`)}`);
  await seesFrames(bob.page);
  await ui.finishes(bob);
  assert.match(await ui.reads(bob, "peers", /web server/), /1 web server/);
  assert.equal(await ui.saves(bob, film), await sha256(film.path));
});

scene("a server without ranges is read from its start", async (stage) => {
  const file = await randomMegabytes(10);
  const web = await stage.web({ [file.name]: file.path }, { ranges: false });
  const { bytes } = await makeTorrent(file.name, 64 * 1024, [file.path]);
  const bob = await opener(stage, "chromium");
  await api.adds(bob, bytes, { webSeeds: [`${web.url}${file.name}`] });
  await api.finishes(bob);
  assert.equal(await api.digest(bob), await sha256(file.path));
  assert.deepEqual(await api.events(bob), []);
});

scene("a redirect to another origin is followed, once for a file", async (stage) => {
  const file = await randomMegabytes(10);
  const target = await stage.web({ [file.name]: file.path });
  const web = await stage.web({}, { redirect: target.url });
  const { bytes } = await makeTorrent(file.name, 64 * 1024, [file.path]);
  const bob = await opener(stage, "chromium");
  await api.adds(bob, bytes, { webSeeds: [`${web.url}${file.name}`] });
  await api.finishes(bob);
  assert.equal(await api.digest(bob), await sha256(file.path));
  assert.ok(web.requests.length <= 4 && target.requests.length > web.requests.length, JSON.stringify(web.requests));
});

scene("a web seed that lies is found out and asked no more; another serves", async (stage) => {
  const film = await media("small-moov-first.mp4");
  const [liar, web] = [
    await stage.web({ [film.name]: film.path }, { lies: true }),
    await stage.web({ [film.name]: film.path }),
  ];
  const { bytes } = await makeTorrent(film.name, 64 * 1024, [film.path]);
  const bob = await opener(stage, "chromium");
  await watch(bob.page);
  await api.adds(bob, bytes, { play: true, webSeeds: [`${liar.url}${film.name}`, `${web.url}${film.name}`] });
  await seesFrames(bob.page);
  await api.finishes(bob);
  assert.equal(await api.digest(bob), await sha256(film.path));
  assert.ok((await api.events(bob)).some(({ code }) => code === "web-seed-banned"));
  const { webSeeds } = await api.stats(bob);
  assert.deepEqual(
    webSeeds.map((/** @type {{ state: string }} */ { state }) => state === "off"),
    [true, false],
  );
});

/** @type {Record<string, import("./lib/web.mjs").Habits>} */
const TROUBLE = {
  "lets no page read it": { cors: "none" },
  "is broken": { status: 500 },
};

for (const [what, habits] of Object.entries(TROUBLE)) {
  scene(`a web seed that ${what} is left for peers`, async (stage) => {
    const film = await media("small-moov-first.mp4");
    const web = await stage.web({ [film.name]: film.path }, habits);
    const { site } = await stage.swarmreel();
    const alice = await stage.person("chromium", { name: "alice" });
    const bob = await stage.person("chromium", { name: "bob" });
    bob.expect(BLOCKED);
    await Promise.all([api.opens(alice, site), api.opens(bob, site)]);
    const { magnet } = await api.seeds(alice, film.path, { webSeeds: [`${web.url}${film.name}`] });
    assert.ok(magnet.includes(`&ws=${encodeURIComponent(web.url)}`), magnet);
    await watch(bob.page);
    await api.adds(bob, magnet, { play: true });
    await seesFrames(bob.page);
    await api.finishes(bob);
    assert.equal(await api.digest(bob), await sha256(film.path));
    const codes = (await api.events(bob)).map((event) => event.code);
    assert.ok(codes.includes("web-seed-failed"), codes.join());
    const { peers } = await api.stats(bob);
    assert.equal(peers.length, 1, "the honest peer stays");
  });
}

scene("a slow web seed does not hold back the first frame that a peer can give", async (stage) => {
  const film = await media("big-moov-first.mp4");
  const web = await stage.web({ [film.name]: film.path }, { bytesPerSecond: 20_000 });
  const { site } = await stage.swarmreel();
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person("chromium", { name: "bob" });
  await Promise.all([api.opens(alice, site), api.opens(bob, site)]);
  const { magnet } = await api.seeds(alice, film.path, { webSeeds: [`${web.url}${film.name}`] });
  await watch(bob.page);
  await api.adds(bob, magnet, { play: true });
  await seesFrames(bob.page, 10, 15_000);
  await api.finishes(bob);
  assert.equal(await api.digest(bob), await sha256(film.path));
});

scene("webtorrent.js and we take the same file from the same web seed", async (stage) => {
  const file = await randomMegabytes(10);
  const web = await stage.web({ [file.name]: file.path }, { cors: "preflight" });
  const [server, { url }] = [await stage.swarmreel(), await stage.pages()];
  const alice = await stage.person("chromium", { name: "alice" });
  const theirs = await stage.person("chromium", { name: "theirs" });
  const ours = await stage.person("chromium", { name: "ours" });
  await Promise.all([api.opens(alice, server.site), wt.opens(theirs, url), api.opens(ours, server.site)]);
  const { magnet } = await api.seeds(alice, file.path, { webSeeds: [`${web.url}${file.name}`] });
  await wt.adds(theirs, magnet, []);
  await wt.finishes(theirs);
  assert.equal(await wt.digest(theirs), await sha256(file.path));
  const before = web.requests.length;
  await api.adds(ours, magnet);
  await api.finishes(ours);
  assert.equal(await api.digest(ours), await sha256(file.path));
  assert.ok(web.requests.length > before, "ours asked the web seed, too");
  assert.ok(web.requests.slice(before).every(({ method }) => method === "GET"), "without a preflight");
});
