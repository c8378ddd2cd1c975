// By relays only: a file goes from one person to another through a TURN server, and no description that the tracker sees
// tells where either of them is.
import assert from "node:assert/strict";
import * as api from "./lib/api.mjs";
import { media, sha256 } from "./lib/media.mjs";
import { until } from "./lib/until.mjs";
import { scene } from "./lib/stage.mjs";

/** @typedef {import("./lib/people.mjs").Person} Person */

/** Keeps every connection that the page makes, to be asked later. @param {Person} person */
async function keepsConnections(person) {
  await person.page.evaluateOnNewDocument(() => {
    const w = /** @type {any} */ (window);
    w.connections = [];
    w.RTCPeerConnection = class extends RTCPeerConnection {
      /** @param {RTCConfiguration} configuration */
      constructor(configuration) {
        super(configuration);
        w.connections.push(this);
      }
    };
  });
}

/** @param {Person} person @returns {Promise<string[]>} the kinds of both candidates of every pair that carried bytes */
function kindsInUse(person) {
  return person.page.evaluate(async () => {
    const kinds = [];
    for (const connection of /** @type {any} */ (window).connections) {
      const report = await connection.getStats();
      for (const entry of report.values()) {
        if (entry.type !== "candidate-pair" || !entry.nominated || !entry.bytesReceived) continue;
        kinds.push(report.get(entry.localCandidateId).candidateType);
        kinds.push(report.get(entry.remoteCandidateId).candidateType);
      }
    }
    return kinds;
  });
}

/** @param {string[]} messages to a tracker @returns {string[]} every session description in them */
function descriptions(messages) {
  return messages.map((text) => JSON.parse(text)).flatMap(({ offers = [], answer }) => [
    ...offers.map((/** @type {{ offer: { sdp: string } }} */ { offer }) => offer.sdp),
    ...(answer ? [answer.sdp] : []),
  ]);
}

scene("two people who connect by relays only exchange a file, and no one learns where they are", async (stage) => {
  const film = await media("small-moov-first.mp4");
  const [turn, { tracker, heard }] = [await stage.turn(), await stage.tracker()];
  // The page's host makes the credentials.
  const { site } = await stage.swarmreel({ args: ["--turn-url", turn.url, "--turn-secret-file", turn.secretFile] });
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person("chromium", { name: "bob" });
  const options = { trackers: [tracker], iceTransportPolicy: /** @type {const} */ ("relay") };
  for (const person of [alice, bob]) {
    await keepsConnections(person);
    await api.opens(person, site, options);
  }
  const { magnet } = await api.seeds(alice, film.path);
  await api.adds(bob, magnet);
  await api.finishes(bob);
  assert.equal(await api.digest(bob), await sha256(film.path));

  const kinds = await kindsInUse(bob);
  assert.ok(kinds.length > 0, "no connection has carried anything");
  assert.deepEqual(new Set(kinds), new Set(["relay"]));
  const seen = descriptions(heard);
  assert.ok(seen.length >= 2, "an offer and an answer");
  for (const sdp of seen) {
    const candidates = sdp.match(/a=candidate:.*/g) ?? [];
    assert.ok(candidates.length > 0, sdp);
    for (const candidate of candidates) assert.match(candidate, / typ relay raddr 0\.0\.0\.0 rport 0/);
  }
});

/** Comes by relays only, and finds none. @param {Person} person @param {string} infoHash */
async function isToldThatThereIsNoRelay(person, infoHash) {
  await api.adds(person, infoHash);
  await person.page.waitForFunction(
    () => /** @type {any} */ (window).me.events.some((/** @type {any} */ { code }) => code === "relay-unreachable"),
    { timeout: 30_000, polling: 100 },
  );
}

scene("who finds no relay is told, and tells nobody anything", async (stage) => {
  const film = await media("small-moov-first.mp4");
  const [{ site }, { tracker, heard }] = [await stage.swarmreel(), await stage.tracker()];
  const alice = await stage.person("chromium", { name: "alice" });
  const bob = await stage.person("chromium", { name: "bob" });
  await api.opens(alice, site, { trackers: [tracker] });
  const { infoHash } = await api.seeds(alice, film.path);
  await api.opens(bob, site, { trackers: [tracker], iceServers: [], iceTransportPolicy: "relay" });
  const { peer_id: alices } = JSON.parse(heard[0]);
  await isToldThatThereIsNoRelay(bob, infoHash);
  const bobs = heard.filter((text) => JSON.parse(text).peer_id !== alices);
  assert.ok(bobs.length > 0, "bob has announced himself");
  assert.deepEqual(descriptions(bobs), []);
});

scene("credentials of the same secret that have ended open no relay", async (stage) => {
  const [turn, { tracker, heard }] = [await stage.turn(), await stage.tracker()];
  const { site } = await stage.swarmreel();
  const iceTransportPolicy = /** @type {const} */ ("relay");
  const offers = () => descriptions(heard).length;
  for (const lifetime of [-60, 60]) {
    const person = await stage.person("chromium");
    await api.opens(person, site, { trackers: [tracker], iceServers: [turn.user(lifetime)], iceTransportPolicy });
    if (lifetime < 0) {
      await isToldThatThereIsNoRelay(person, "0".repeat(40));
      assert.equal(offers(), 0);
    } else {
      await api.adds(person, "1".repeat(40));
      await until(() => offers() > 0, "offer with a relay");
    }
  }
});
