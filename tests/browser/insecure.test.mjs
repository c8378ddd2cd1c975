// A plain-http address on the local network: no secure context, so no OPFS and no service worker. Everything works
// there too.
import assert from "node:assert/strict";
import { media, sha256 } from "./lib/media.mjs";
import { scene } from "./lib/stage.mjs";
import * as ui from "./lib/ui.mjs";
import { seeksTo, seesFrames, watch } from "./lib/watch.mjs";

scene("on an insecure origin a film is shared, played, sought in and saved", async (stage) => {
  const film = await media("big-moov-last.mp4");
  const { port } = await stage.swarmreel();
  const site = `http://swarmreel.test:${port}/`;
  const args = ["--host-resolver-rules=MAP swarmreel.test 127.0.0.1"];
  const alice = await stage.person("chromium", { name: "alice", args });
  const bob = await stage.person("chromium", { name: "bob", args });
  // Chromium remarks on a header that only counts on secure origins.
  for (const person of [alice, bob]) person.expect(/Cross-Origin-Opener-Policy header has been ignored/);
  await ui.opens(alice, site);
  assert.equal(await alice.page.evaluate(() => isSecureContext), false);
  const { share } = await ui.shares(alice, film.path);
  assert.ok(share.startsWith(site), share);

  await ui.opens(bob, share);
  await watch(bob.page, ui.VIDEO);
  await seesFrames(bob.page, 1);
  await seeksTo(bob.page, 0.75, ui.VIDEO);
  await ui.finishes(bob);
  const saved = await ui.saves(bob, film);
  assert.equal(saved, await sha256(film.path));
});
