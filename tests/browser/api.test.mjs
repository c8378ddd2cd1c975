// The public JavaScript API: what a page of someone else's would rely on.
import assert from "node:assert/strict";
import * as api from "./lib/api.mjs";
import { media, sha256 } from "./lib/media.mjs";
import { scene } from "./lib/stage.mjs";
import { seeksTo, seesFrames, watch } from "./lib/watch.mjs";

/**
 * Alice seeds a file and Bob has the link, each with a client of their own.
 * @param {import("./lib/stage.mjs").Stage} stage
 * @param {import("./lib/media.mjs").Fixture} file
 * @param {{ alice?: api.Options, bob?: api.Options }} [options]
 */
async function pair(stage, file, options = {}) {
  const { site } = await stage.swarmreel();
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person("chromium", { name: "bob" });
  await Promise.all([api.opens(alice, site, options.alice), api.opens(bob, site, options.bob)]);
  const seeded = await api.seeds(alice, file.path);
  return { alice, bob, ...seeded };
}

scene("a torrent tells what it is, and how it goes", async (stage) => {
  const film = await media("small-moov-first.mp4");
  const { alice, bob, infoHash, magnet } = await pair(stage, film);
  assert.match(infoHash, /^[0-9a-f]{40}$/);
  assert.ok(magnet.startsWith(`magnet:?xt=urn:btih:${infoHash}`), magnet);

  await watch(bob.page);
  await api.adds(bob, infoHash, { play: true });
  await seesFrames(bob.page);
  await api.finishes(bob);
  const facts = await bob.page.evaluate(() => {
    const { client, torrent } = /** @type {any} */ (window).me;
    const [{ name, path, length, type, progress }] = torrent.files;
    const { infoHash, pieceLength, files } = torrent;
    return {
      infoHash,
      total: torrent.length,
      pieceLength,
      files: files.length,
      name,
      path,
      length,
      type,
      progress,
      torrents: client.torrents.length,
    };
  });
  assert.deepEqual(
    { ...facts, pieceLength: 0 },
    {
      infoHash,
      total: film.length,
      pieceLength: 0,
      files: 1,
      name: film.name,
      path: film.name,
      length: film.length,
      type: "video/mp4",
      progress: 1,
      torrents: 1,
    },
  );
  assert.equal(facts.pieceLength % 16_384, 0);
  await api.moves(bob, "downloaded", film.length);
  await api.moves(alice, "uploaded", film.length);
  const stats = await api.stats(bob);
  assert.equal(stats.progress, 1);
  assert.ok(stats.timeToFirstFrame > 0);
  assert.equal(stats.peers.length, 1);
  assert.equal(await api.digest(bob), await sha256(film.path));
});

scene("a stream gives any range, and a removed torrent is gone", async (stage) => {
  const film = await media("small-moov-first.mp4");
  const { bob, magnet } = await pair(stage, film);
  await api.adds(bob, magnet);
  const [start, end] = [1_000_003, 1_200_017];
  const ranged = await bob.page.evaluate(
    async (from, to) => {
      const { me } = /** @type {any} */ (window);
      await me.torrent.ready;
      const reader = me.torrent.files[0].stream({ start: from, end: to }).getReader();
      const parts = [];
      for (let next = await reader.read(); !next.done; next = await reader.read()) parts.push(next.value);
      const hash = await crypto.subtle.digest("SHA-256", await new Blob(parts).arrayBuffer());
      await me.torrent.remove();
      return {
        hash: Array.from(new Uint8Array(hash), (b) => b.toString(16).padStart(2, "0")).join(""),
        left: me.client.torrents.length,
      };
    },
    start,
    end,
  );
  assert.deepEqual(ranged, { hash: await sha256Of(film.path, start, end), left: 0 });
});

scene("the page forwards the bytes when channels can't be transferred", async (stage) => {
  const film = await media("big-moov-first.mp4");
  const forwarded = { transferChannels: false };
  const { bob, magnet } = await pair(stage, film, { alice: forwarded, bob: forwarded });
  await watch(bob.page);
  await api.adds(bob, magnet, { play: true });
  await seesFrames(bob.page, 1);
  await seeksTo(bob.page, 0.75);
  await api.finishes(bob);
  assert.equal(await api.digest(bob), await sha256(film.path));
});

scene("with the memory store, nothing needs a disk", async (stage) => {
  const film = await media("small.webm");
  const { bob, magnet } = await pair(stage, film, { bob: { storage: "memory" } });
  await watch(bob.page);
  await api.adds(bob, magnet, { play: true });
  await seesFrames(bob.page);
  await api.finishes(bob);
  assert.equal(await api.digest(bob), await sha256(film.path));
});

for (const name of ["small-fragmented.mp4", "small-moov-last.mp4"]) {
  scene(`${name} plays from start to end`, async (stage) => {
    const film = await media(name);
    const { bob, magnet } = await pair(stage, film);
    await watch(bob.page);
    await api.adds(bob, magnet, { play: true });
    await seesFrames(bob.page, 1);
    await seeksTo(bob.page, 0.9);
    await bob.page.waitForFunction(() => document.querySelector("video")?.ended, { timeout: 30_000 });
  });
}

for (const name of ["sound.m4a", "sound.mp3", "sound.webm"]) {
  scene(`${name} is heard`, async (stage) => {
    const { bob, magnet } = await pair(stage, await media(name));
    await api.adds(bob, magnet, { play: true });
    await bob.page.waitForFunction(
      () => {
        const player = /** @type {any} */ (document.querySelector("video"));
        return player.currentTime > 1 && player.webkitAudioDecodedByteCount > 0;
      },
      { timeout: 30_000 },
    );
  });
}

/** @param {string} path @param {number} start @param {number} end exclusive, as everywhere in the API */
async function sha256Of(path, start, end) {
  const { createHash } = await import("node:crypto");
  const { readFile } = await import("node:fs/promises");
  return createHash("sha256")
    .update((await readFile(path)).subarray(start, end))
    .digest("hex");
}
