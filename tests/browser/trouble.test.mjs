// When something is wrong: plain words, nothing unverified shown or kept, and the page works on.
import assert from "node:assert/strict";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import * as api from "./lib/api.mjs";
import { media, sha256 } from "./lib/media.mjs";
import { scene } from "./lib/stage.mjs";
import * as ui from "./lib/ui.mjs";
import { until } from "./lib/until.mjs";
import { seesFrames, watch } from "./lib/watch.mjs";
import * as wt from "./lib/wt.mjs";

scene("a bad link is refused in a sentence, and the next one works", async (stage) => {
  const film = await media("small-moov-first.mp4");
  const { site } = await stage.swarmreel();
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person("chromium", { name: "bob" });
  await ui.opens(alice, site);
  const { magnet } = await ui.shares(alice, film.path);
  await ui.opens(bob, site);
  for (const bad of ["hello", "magnet:?dn=nothing", "magnet:?xt=urn:btih:0123", "#".repeat(5000)]) {
    await ui.pastes(bob, bad);
    const words = await ui.reads(bob, "error", /\w+ \w+ \w+/);
    assert.doesNotMatch(words, /undefined|\[object|panicked/, words);
  }
  await watch(bob.page, ui.VIDEO);
  await ui.pastes(bob, magnet);
  await seesFrames(bob.page);
});

scene("the API's errors have a code and a sentence", async (stage) => {
  const { site } = await stage.swarmreel();
  const bob = await stage.person("chromium", { name: "bob" });
  await api.opens(bob, site);
  const errors = await bob.page.evaluate(async () => {
    const { client } = /** @type {any} */ (window).me;
    const inputs = ["magnet:?xt=urn:btih:0123", "", new Uint8Array([1, 2, 3]), 7];
    const outcomes = inputs.map((input) =>
      Promise.resolve()
        .then(() => client.add(input))
        .then(
          () => ({ isError: false, code: "", message: "" }),
          (/** @type {any} */ error) => ({ isError: error instanceof Error, code: error.code, message: error.message }),
        ),
    );
    return Promise.all(outcomes);
  });
  for (const { isError, code, message } of errors) {
    assert.ok(isError, "a bad input was accepted");
    assert.match(code, /^[a-z]+(-[a-z]+)*$/);
    assert.match(message, /^[A-Z].* .*\.$/s);
  }
});

for (const [name, codec] of /** @type {[string, RegExp][]} */ ([
  ["unsupported-hevc.mp4", /HEVC|H\.265|hvc1/i],
  ["unsupported-ac3.mp4", /AC-?3/i],
])) {
  scene(`${name} can't be played: the page names the codec, and saves the file`, async (stage) => {
    const film = await media(name);
    const { site } = await stage.swarmreel();
    const alice = await stage.person("chromium", { name: "alice" });
    const bob = await stage.person("chromium", { name: "bob" });
    await ui.opens(alice, site);
    const { share } = await ui.shares(alice, film.path);
    await ui.opens(bob, share);
    await ui.reads(bob, "error", codec);
    await ui.finishes(bob);
    const saved = await ui.saves(bob, film);
    assert.equal(saved, await sha256(film.path));
  });
}

scene("a peer that sends wrong bytes does no harm while an honest one is there, and is found out", async (stage) => {
  const film = await media("big-moov-first.mp4");
  const [{ site, tracker }, { url }] = [await stage.swarmreel(), await stage.pages()];
  const [liar, honest] = await Promise.all(["liar", "honest"].map((name) => stage.person("chromium", { name })));
  const bob = await stage.person("chromium", { name: "bob" });
  await Promise.all([wt.opens(liar, url), wt.opens(honest, url), api.opens(bob, site)]);
  await wt.startsLying(liar);
  const magnet = await wt.seeds(liar, film.path, [tracker]);

  await watch(bob.page);
  await api.adds(bob, magnet, { play: true });
  await liar.page.waitForFunction(() => /** @type {any} */ (window).wt.corrupted > 0, { timeout: 30_000 });
  await wt.seeds(honest, film.path, [tracker]);
  await seesFrames(bob.page);
  await api.finishes(bob);
  assert.ok((await wt.lies(liar)) > 0);
  assert.equal(await api.digest(bob), await sha256(film.path));
  const codes = (await api.events(bob)).map(({ code }) => code);
  assert.ok(codes.includes("bad-piece"), `${codes}`);
  await bob.page.waitForFunction(
    (id) => {
      const { peers } = /** @type {any} */ (window).me.torrent.stats();
      return peers.every((/** @type {{ id: string }} */ peer) => peer.id !== id);
    },
    { timeout: 10_000, polling: 100 },
    await wt.peerId(liar),
  );
});

scene("a name that is markup is shown as text", async (stage) => {
  const film = await media("small-moov-first.mp4");
  const { site } = await stage.swarmreel();
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person("chromium", { name: "bob" });
  const path = join(alice.downloads, `<img src=x onerror=pwned=1>&amp;.mp4`);
  await symlink(film.path, path);
  await ui.opens(alice, site);
  const { share } = await ui.shares(alice, path);
  await ui.opens(bob, share);
  await watch(bob.page, ui.VIDEO);
  await seesFrames(bob.page);
  for (const { page } of [alice, bob]) {
    const harm = await page.evaluate(() => "pwned" in window || document.querySelector("img[src=x]") !== null);
    assert.equal(harm, false);
    assert.match(await page.evaluate(() => document.body.innerText), /onerror/);
  }
});

for (const kind of /** @type {const} */ (["chromium", "firefox"])) {
  scene(`${kind} returns to a tracker that restarts when it is told to, and not before`, async (stage) => {
    const [{ site }, { tracker, heard, arrivals, restart }] = [await stage.swarmreel(), await stage.tracker()];
    const bob = await stage.person(kind, { name: "bob" });
    await api.opens(bob, site, { trackers: [tracker] });
    await api.adds(bob, "1".repeat(40));
    await until(() => heard.length > 0, "announce");
    const [before, sentAwayAt] = [arrivals.length, performance.now()];
    restart(6);
    await until(() => arrivals.length > before, "return");
    const away = (arrivals[before] - sentAwayAt) / 1000;
    assert.ok(away >= 5.95, `back after ${away} s`); // Timers may be a little early.
  });
}
