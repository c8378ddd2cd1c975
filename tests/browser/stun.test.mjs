// Our own STUN server, as browsers use it; and one that never answers, which keeps nobody waiting.
import assert from "node:assert/strict";
import * as api from "./lib/api.mjs";
import { PUBLIC, missingInternet, startInternet } from "./lib/internet.mjs";
import { media } from "./lib/media.mjs";
import { startNat, startSink } from "./lib/nat.mjs";
import { scene } from "./lib/stage.mjs";
import { until } from "./lib/until.mjs";

const NOBODYS = "1".repeat(40);

/** @param {string[]} messages to a tracker @returns {string[]} every offer in them */
function offers(messages) {
  return messages.flatMap((text) => JSON.parse(text).offers ?? []).map(({ offer }) => offer.sdp);
}

for (const kind of /** @type {const} */ (["chromium", "firefox"])) {
  scene(`${kind} learns from our server where the world sees it`, async (stage) => {
    const { tracker, heard } = await stage.tracker();
    const nat = stage.keep(await startNat());
    const { site, port } = await stage.swarmreel({ args: ["--stun-url", `stun:127.0.0.1:${nat.port}`] });
    nat.leadsTo(port);
    const person = await stage.person(kind);
    await api.opens(person, site, { trackers: [tracker] });
    await api.adds(person, NOBODYS);
    await until(() => offers(heard).length > 0, "offer");
    const [offer] = offers(heard);
    const [, mapped] = /a=candidate:.* 127\.0\.0\.1 (\d+) typ srflx/.exec(offer) ?? [];
    assert.ok(nat.outside.has(Number(mapped)), `${[...nat.outside]} in ${offer}`);
  });

  scene(`${kind} does not wait for a STUN server that never answers`, async (stage) => {
    const { tracker, heard } = await stage.tracker();
    const sink = stage.keep(await startSink());
    const { site } = await stage.swarmreel({ args: ["--ice-server", `stun:127.0.0.1:${sink.port}`] });
    const person = await stage.person(kind);
    await api.opens(person, site, { trackers: [tracker] });
    await api.adds(person, NOBODYS);
    const took = await until(() => offers(heard).length > 0, "offer");
    assert.ok(sink.heard() > 0, "it was asked");
    assert.ok(took < 4000, `the first offer took ${took} ms`);
  });
}

scene(
  "a share link works from one home to another, each behind its NAT, and no one else has a part in it",
  async (stage) => {
    const film = await media("small-moov-first.mp4");
    const { server, homes } = stage.keep(startInternet());
    const { port } = await stage.swarmreel({ args: ["--listen", `${PUBLIC}:0`], inside: server });
    const site = `http://${PUBLIC}:${port}/`;
    const alice = await stage.person("chromium", { name: "alice", inside: homes[0] });
    const bob = await stage.person("chromium", { name: "bob", inside: homes[1] });
    for (const person of [alice, bob]) {
      person.expect(/Cross-Origin-Opener-Policy/); // The site has no certificate there.
      await api.opens(person, site);
    }
    const { infoHash } = await api.seeds(alice, film.path);
    await api.adds(bob, infoHash);
    await api.finishes(bob);
  },
  { missing: missingInternet() },
);
