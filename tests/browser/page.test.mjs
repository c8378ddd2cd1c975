// The main job, through the page: someone drops a video, someone else opens the link, the video plays while it
// downloads.
import assert from "node:assert/strict";
import { media, sha256 } from "./lib/media.mjs";
import { scene } from "./lib/stage.mjs";
import * as ui from "./lib/ui.mjs";
import { seeksTo, seesFrames, watch } from "./lib/watch.mjs";

/** @typedef {import("./lib/people.mjs").Kind} Kind */

/** @type {[Kind, Kind][]} */
const PAIRS = [
  ["chromium", "chromium"],
  ["chromium", "firefox"],
  ["firefox", "chromium"],
];

for (const [from, to] of PAIRS) {
  scene(`${from} shares, ${to} opens the link, sees the film and saves it`, async (stage) => {
    const film = await media("small-moov-first.mp4");
    const { site } = await stage.swarmreel();
    const alice = await stage.person(from, { name: "alice" });
    const bob = await stage.person(to, { name: "bob" });
    await ui.opens(alice, site);
    const { share } = await ui.shares(alice, film.path);

    await ui.opens(bob, share);
    await watch(bob.page, ui.VIDEO);
    await seesFrames(bob.page);
    await ui.reads(bob, "peers", /1/);
    await ui.finishes(bob);
    assert.equal(await ui.saves(bob, film), await sha256(film.path));
  });
}

for (const name of ["big-moov-first.mp4", "big-moov-last.mp4", "big-fragmented.mp4", "big.webm"]) {
  scene(`${name}: plays at once, and three quarters in before it is downloaded`, async (stage) => {
    const film = await media(name);
    const { site } = await stage.swarmreel();
    const alice = await stage.person("chromium", { name: "alice" });
    const bob = await stage.person("chromium", { name: "bob" });
    await ui.opens(alice, site);
    const { magnet } = await ui.shares(alice, film.path);

    await ui.opens(bob, site);
    await watch(bob.page, ui.VIDEO);
    await ui.pastes(bob, magnet);
    const first = await seesFrames(bob.page, 1);
    assert.ok(first.mediaTime < 2, `the first frame is of ${first.mediaTime} s`);
    const there = await seeksTo(bob.page, 0.75, ui.VIDEO);
    const had = await ui.progress(bob);
    assert.ok(had < 1, "the film was downloaded before the seek was over: the test needs a bigger film");
    assert.ok(there.mediaTime >= film.seconds * 0.75 - 0.3);
    await seesFrames(bob.page);
    await ui.finishes(bob);
  });
}

scene("several films at once: the list names them, and any of them plays", async (stage) => {
  const films = [await media("small-moov-first.mp4"), await media("small.webm")];
  const { site } = await stage.swarmreel();
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person("chromium", { name: "bob" });
  await ui.opens(alice, site);
  const { share } = await ui.shares(alice, ...films.map(({ path }) => path));

  await ui.opens(bob, share);
  const list = await ui.reads(bob, "file-list", /\.webm/);
  assert.match(list, /\.mp4/);
  await bob.page.evaluate((selector) => {
    const row = [...document.querySelectorAll(`${selector} button`)].find((button) =>
      button.textContent?.includes(".webm"),
    );
    /** @type {HTMLButtonElement} */ (row).click();
  }, ui.hook("file-list"));
  await watch(bob.page, ui.VIDEO);
  await seesFrames(bob.page);
});

scene("a second visit loads the page alone: its files are kept under the site's version", async (stage) => {
  const { site } = await stage.swarmreel();
  const alice = await stage.person("chromium", { name: "alice" });
  await ui.opens(alice, site);
  await ui.opens(alice, site);
  const loaded = await alice.page.evaluate(() => {
    const entries = /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType("resource"));
    return entries.map(({ name, transferSize }) => ({ path: new URL(name).pathname, transferSize }));
  });
  const files = loaded.filter(({ path }) => /\.(js|css|wasm)$/.test(path));
  assert.ok(files.length > 10, `the page consists of ${files.length} files`);
  for (const { path, transferSize } of files) {
    assert.match(path, /^\/[0-9a-f]{16}\//);
    assert.equal(transferSize, 0, `${path} came over the network again`);
  }
});
