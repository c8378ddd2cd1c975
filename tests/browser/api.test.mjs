// The public JavaScript API: what a page of someone else's would rely on.
import assert from "node:assert/strict";
import * as api from "./lib/api.mjs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { media, sha256 } from "./lib/media.mjs";
import { scene } from "./lib/stage.mjs";
import { makeTorrent } from "./lib/torrent-file.mjs";
import { seeksTo, seesFrames, watch } from "./lib/watch.mjs";

/** What codes of errors look like. */
const CODE = /^[a-z]+(-[a-z]+)*$/;
/** What is said to people. */
const SENTENCE = /^[A-Z].* .*\.$/s;

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
  return { site, alice, bob, ...seeded };
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
  const { pieceLength, ...others } = facts;
  assert.ok(pieceLength > 0 && pieceLength % 16_384 === 0, `pieces of ${pieceLength} bytes`);
  assert.deepEqual(
    others,
    {
      infoHash,
      total: film.length,
      files: 1,
      name: film.name,
      path: film.name,
      length: film.length,
      type: "video/mp4",
      progress: 1,
      torrents: 1,
    },
  );
  await api.moves(bob, "downloaded", film.length);
  await api.moves(alice, "uploaded", film.length);
  const stats = await api.stats(bob);
  assert.equal(stats.progress, 1);
  assert.ok(stats.timeToFirstFrame > 0);
  assert.equal(stats.peers.length, 1);
  assert.equal(await api.digest(bob), await sha256(film.path));
  for (const person of [alice, bob]) assert.equal(await api.pageSends(person), 0, "channels belong to the worker");
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
  const { alice, bob, magnet } = await pair(stage, film, { alice: forwarded, bob: forwarded });
  await watch(bob.page);
  await api.adds(bob, magnet, { play: true });
  await seesFrames(bob.page, 1);
  await seeksTo(bob.page, 0.75);
  await api.finishes(bob);
  assert.equal(await api.digest(bob), await sha256(film.path));
  for (const person of [alice, bob]) assert.ok((await api.pageSends(person)) > 0, `${person.name}'s page sent nothing`);
});

scene("with the memory store, nothing needs a disk", async (stage) => {
  const film = await media("small.webm");
  const { site, bob, infoHash, magnet } = await pair(stage, film, { bob: { storage: "memory" } });
  await watch(bob.page);
  await api.adds(bob, magnet, { play: true });
  await seesFrames(bob.page);
  await api.finishes(bob);
  assert.equal(await api.digest(bob), await sha256(film.path));
  assert.equal(await api.isOnDisk(bob, infoHash), false);

  // The same download with the default store: the question has another answer, so it is the right question.
  await api.opens(bob, site);
  await api.adds(bob, magnet);
  await api.finishes(bob);
  assert.equal(await api.isOnDisk(bob, infoHash), true);
});

scene("several files are seeded with options, and a .torrent file brings them as bytes or as a File", async (stage) => {
  const films = [await media("small-moov-first.mp4"), await media("small.webm")];
  const paths = films.map(({ path }) => path);
  const made = await makeTorrent("Two films", 65_536, paths);
  const { site } = await stage.swarmreel();
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person("chromium", { name: "bob" });
  await Promise.all([api.opens(alice, site), api.opens(bob, site)]);
  const { infoHash } = await api.seeds(alice, paths, { name: "Two films", pieceLength: 65_536, comment: "For Bob." });
  assert.equal(infoHash, made.infoHash, "the options are what BEP 3 makes of them");

  const file = join(bob.downloads, "two-films.torrent");
  await writeFile(file, made.bytes);
  await api.chooses(bob, [file]);
  const facts = await bob.page.evaluate(async (bytes) => {
    const { me } = /** @type {any} */ (window);
    const [torrentFile] = /** @type {any} */ (document.querySelector("#file")).files;
    me.torrent = await me.client.add(torrentFile);
    await me.torrent.done;
    const again = await me.client.add(Uint8Array.from(bytes));
    const { name, pieceLength, files } = me.torrent;
    const names = files.map((/** @type {any} */ one) => one.name);
    await again.remove();
    me.torrent = await me.client.add(Uint8Array.from(bytes));
    await me.torrent.done;
    return { name, pieceLength, names, isTheSame: again !== me.torrent && again.infoHash === me.torrent.infoHash };
  }, [...made.bytes]);
  const names = films.map(({ name }) => name);
  assert.deepEqual(facts, { name: "Two films", pieceLength: 65_536, names, isTheSame: true });
  for (const [index, path] of paths.entries()) assert.equal(await api.digest(bob, index), await sha256(path));
});

scene("events tell how a torrent goes, and what is not quite right", async (stage) => {
  const film = await media("small-moov-first.mp4");
  const [{ site, tracker }, gone] = [await stage.swarmreel(), await stage.swarmreel()];
  await gone.close();
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person("chromium", { name: "bob" });
  bob.expect(/WebSocket connection to .* failed/);
  await Promise.all([api.opens(alice, site), api.opens(bob, site, { trackers: [tracker, gone.tracker] })]);
  const { magnet } = await api.seeds(alice, film.path);
  const heard = await bob.page.evaluate(async (link) => {
    const { me } = /** @type {any} */ (window);
    me.torrent = await me.client.add(link);
    /** @type {{ type: string, detail?: any }[]} */
    const events = [];
    const types = ["ready", "progress", "done", "peer", "warning", "error"];
    for (const type of types) {
      me.torrent.addEventListener(type, (/** @type {CustomEvent} */ { detail }) => events.push({ type, detail }));
    }
    const heard = (/** @type {string} */ type) => new Promise((resolve) => me.torrent.addEventListener(type, resolve));
    await Promise.all([heard("done"), heard("warning")]);
    return events;
  }, magnet);
  const types = heard.map(({ type }) => type);
  const details = (/** @type {string} */ wanted) =>
    heard.filter(({ type }) => type === wanted).map(({ detail }) => detail);
  for (const once of ["ready", "done", "peer"]) assert.equal(details(once).length, 1, `${once}: ${types}`);
  assert.ok(types.includes("progress"), `${types}`);
  const order = ["peer", "ready", "done"].map((type) => types.indexOf(type));
  assert.ok(order[0] < order[1] && order[1] < order[2], `${types}`);
  assert.match(details("peer")[0].id, /^[0-9a-f]{40}$/);
  const [{ code, message }] = details("warning");
  assert.equal(code, "tracker-unreachable");
  assert.match(message, SENTENCE);
  assert.ok(message.includes(gone.tracker), message);
  assert.deepEqual(details("error"), []);
});

scene("what a removed torrent or a destroyed client was asked for is refused", async (stage) => {
  const film = await media("big-moov-first.mp4");
  const { alice, bob, magnet } = await pair(stage, film);
  for (const end of /** @type {const} */ (["remove", "destroy"])) {
    await api.adds(bob, magnet);
    const refusals = await bob.page.evaluate(endsWhileReading, end);
    for (const [what, { isError, code, message }] of Object.entries(refusals)) {
      assert.ok(isError, `${what}, after ${end}: ${message}`);
      assert.match(code, CODE);
      assert.match(message, SENTENCE);
    }
    assert.equal(await bob.page.evaluate(() => /** @type {any} */ (window).me.client.torrents.length), 0);
  }
  await alice.page.waitForFunction(() => /** @type {any} */ (window).me.torrent.stats().peers.length === 0);
});

/**
 * Runs in the page: ends the torrent or the client while a file is read, and says how each wish came out.
 * @param {"remove" | "destroy"} end
 * @returns {Promise<Record<string, { isError: boolean, code: string, message: string }>>}
 */
async function endsWhileReading(end) {
  const { client, torrent } = /** @type {any} */ (window).me;
  await torrent.ready;
  const file = torrent.files[0];
  const begun = file.blob();
  const reader = file.stream({ start: 1, end: file.length }).getReader();
  await reader.read();
  const drained = async () => {
    while (!(await reader.read()).done);
  };
  /** @type {Record<string, Promise<unknown>>} */
  const wishes = { done: torrent.done, blob: begun, blobJustAsked: file.blob(), stream: drained() };
  for (const wish of Object.values(wishes)) wish.catch(() => {});
  await (end === "remove" ? torrent.remove() : client.destroy());
  wishes.play = file.play(document.querySelector("video"));
  wishes.blobLater = file.blob();
  if (end === "destroy") wishes.add = client.add(torrent.infoHash);

  const silence = { isError: false, code: "", message: "nothing happened" };
  const outcome = (/** @type {Promise<unknown>} */ wish) =>
    Promise.race([
      wish.then(
        () => ({ ...silence, message: "it was fulfilled" }),
        (error) => ({ isError: error instanceof Error, code: String(error.code), message: String(error.message) }),
      ),
      new Promise((resolve) => setTimeout(resolve, 10_000, silence)),
    ]);
  const named = Object.entries(wishes).map(async ([name, wish]) => [name, await outcome(wish)]);
  return Object.fromEntries(await Promise.all(named));
}

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
