// With webtorrent.js 3.0.21, in both directions, through our server and through the `bittorrent-tracker` package's.
import assert from "node:assert/strict";
import * as api from "./lib/api.mjs";
import { media, sha256 } from "./lib/media.mjs";
import { scene } from "./lib/stage.mjs";
import * as ui from "./lib/ui.mjs";
import { seesFrames, watch } from "./lib/watch.mjs";
import * as wt from "./lib/wt.mjs";

/** @typedef {import("./lib/stage.mjs").Stage} Stage */

/**
 * Where they meet: the tracker's address, given our server.
 * @type {Record<string, (stage: Stage, ours: string) => Promise<string>>}
 */
const TRACKERS = {
  "our server": async (_, ours) => ours,
  "bittorrent-tracker": async (stage) => (await stage.tracker()).tracker,
};

for (const [where, trackerOf] of Object.entries(TRACKERS)) {
  scene(`through ${where}: webtorrent seeds, our page plays`, async (stage) => {
    const film = await media("small-moov-first.mp4");
    const [server, { url }] = [await stage.swarmreel(), await stage.pages()];
    const tracker = await trackerOf(stage, server.tracker);
    const alice = await stage.person("chromium", { name: "alice" });
    const bob = await stage.person("chromium", { name: "bob" });
    await wt.opens(alice, url);
    const magnet = await wt.seeds(alice, film.path, [tracker]);

    await ui.opens(bob, server.site);
    await watch(bob.page, ui.VIDEO);
    await ui.pastes(bob, magnet);
    await seesFrames(bob.page);
    await ui.finishes(bob);
    assert.equal(await ui.saves(bob, film), await sha256(film.path));
  });

  scene(`through ${where}: our peer seeds, webtorrent plays and keeps it`, async (stage) => {
    const film = await media("small-moov-first.mp4");
    const [server, { url }] = [await stage.swarmreel(), await stage.pages()];
    const tracker = await trackerOf(stage, server.tracker);
    const alice = await stage.person("chromium", { name: "alice" });
    const bob = await stage.person("chromium", { name: "bob" });
    await api.opens(alice, server.site);
    const { magnet } = await api.seeds(alice, film.path, { trackers: [tracker] });

    await wt.opens(bob, url);
    await wt.preparesToPlay(bob);
    await watch(bob.page);
    await wt.adds(bob, magnet, [], { play: true });
    await seesFrames(bob.page);
    await wt.finishes(bob);
    assert.equal(await wt.digest(bob), await sha256(film.path));
  });
}

scene("webtorrent in Firefox downloads from our peer in Chromium", async (stage) => {
  const film = await media("small-moov-first.mp4");
  const [server, { url }] = [await stage.swarmreel(), await stage.pages()];
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person("firefox", { name: "bob" });
  await api.opens(alice, server.site);
  const { magnet } = await api.seeds(alice, film.path);
  await wt.opens(bob, url);
  await wt.adds(bob, magnet, []);
  await wt.finishes(bob);
  assert.equal(await wt.digest(bob), await sha256(film.path));
});
