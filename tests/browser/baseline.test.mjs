// The harness proves itself: webtorrent to webtorrent, without a line of ours. When this fails, the machine, the
// browsers or the harness is at fault, and no other test means anything.
import assert from "node:assert/strict";
import { media, sha256 } from "./lib/media.mjs";
import { scene } from "./lib/stage.mjs";
import { seesFrames, watch } from "./lib/watch.mjs";
import * as wt from "./lib/wt.mjs";

for (const kind of /** @type {const} */ (["chromium", "firefox"])) {
  scene(`webtorrent in Chromium seeds, webtorrent in ${kind} plays and keeps it`, (stage) =>
    webtorrentAlone(stage, kind),
  );
}

/** @param {import("./lib/stage.mjs").Stage} stage @param {import("./lib/people.mjs").Kind} kind */
async function webtorrentAlone(stage, kind) {
  const film = await media("small-moov-first.mp4");
  const [{ tracker }, { url }] = [await stage.tracker(), await stage.pages()];
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person(kind, { name: "bob" });
  await wt.opens(alice, url);
  await wt.opens(bob, url);

  const magnet = await wt.seeds(alice, film.path, [tracker]);
  await wt.preparesToPlay(bob);
  await watch(bob.page);
  await wt.adds(bob, magnet, [tracker], { play: true });

  await seesFrames(bob.page);
  await wt.finishes(bob);
  assert.equal(await wt.digest(bob), await sha256(film.path));
}
