// What outlives a closed tab: a film goes on from those who have it, and a reloaded page has what it had.
import assert from "node:assert/strict";
import * as api from "./lib/api.mjs";
import { media, sha256 } from "./lib/media.mjs";
import { scene } from "./lib/stage.mjs";
import * as ui from "./lib/ui.mjs";
import { seesFrames, watch } from "./lib/watch.mjs";

scene("the first seeder closes the tab: a third person watches from the second", async (stage) => {
  const film = await media("small-moov-last.mp4");
  const { site } = await stage.swarmreel();
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person("chromium", { name: "bob" });
  await ui.opens(alice, site);
  const { share } = await ui.shares(alice, film.path);
  await ui.opens(bob, share);
  await ui.finishes(bob);
  await alice.leave();

  const carol = await stage.person("chromium", { name: "carol" });
  await ui.opens(carol, (await ui.links(bob)).share);
  await watch(carol.page, ui.VIDEO);
  await seesFrames(carol.page);
  await ui.finishes(carol);
});

scene("a reload plays from disk, with nobody else there", async (stage) => {
  const film = await media("small-moov-first.mp4");
  const { site } = await stage.swarmreel();
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person("chromium", { name: "bob" });
  await ui.opens(alice, site);
  const { share } = await ui.shares(alice, film.path);
  await ui.opens(bob, share);
  await ui.finishes(bob);
  await alice.leave();

  await bob.page.reload();
  await watch(bob.page, ui.VIDEO);
  await seesFrames(bob.page);
  await ui.finishes(bob);
});

scene("a seeder reloads and chooses the file again: the link works again", async (stage) => {
  const film = await media("small-moov-first.mp4");
  const { site } = await stage.swarmreel();
  const alice = await stage.person("chromium", { name: "alice" });
  await ui.opens(alice, site);
  const { share } = await ui.shares(alice, film.path);
  await alice.page.reload();
  assert.equal((await ui.shares(alice, film.path)).share, share);
  await ui.finishes(alice);

  const bob = await stage.person("chromium", { name: "bob" });
  await ui.opens(bob, share);
  await watch(bob.page, ui.VIDEO);
  await seesFrames(bob.page);
  await ui.finishes(bob);
  assert.equal(await ui.saves(bob, film), await sha256(film.path));
});

scene("a reload in the middle goes on where it was", async (stage) => {
  const film = await media("big-moov-first.mp4");
  const { site } = await stage.swarmreel();
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person("chromium", { name: "bob" });
  await api.opens(alice, site);
  await api.opens(bob, site);
  const { infoHash } = await api.seeds(alice, film.path);
  await api.adds(bob, infoHash);
  await untilSaved(bob, infoHash);

  await api.opens(bob, site);
  await api.adds(bob, infoHash);
  await api.finishes(bob);
  const { downloaded } = await api.stats(bob);
  assert.ok(downloaded < film.length, `all ${downloaded} bytes were downloaded again`);
  assert.equal(await api.digest(bob), await sha256(film.path));
});

/**
 * Waits until the disk knows of pieces: they are noted every other second, so that a reload loses no more than that.
 * @param {import("./lib/people.mjs").Person} person
 * @param {string} infoHash
 */
async function untilSaved(person, infoHash) {
  await person.page.waitForFunction(
    async (folder) => {
      const root = await navigator.storage.getDirectory();
      const store = await root
        .getDirectoryHandle("swarmreel")
        .then((all) => all.getDirectoryHandle(folder))
        .catch(() => undefined);
      // It comes after its folder, and is away for a moment while it is written.
      const have = await store
        ?.getFileHandle("have")
        .then((handle) => handle.getFile())
        .catch(() => undefined);
      return have !== undefined && have.size > 0;
    },
    { timeout: 30_000, polling: 100 },
    infoHash,
  );
}
