// Clients as they are deployed, against our server over sockets: `Client` of the npm package bittorrent-tracker, which
// webtorrent.js announces with, and the published messages of libtorrent and anacrolix/torrent. No browser takes part.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { register } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ROOT } from "./lib/paths.mjs";
import { startSwarmreel } from "./lib/server.mjs";

register("./lib/signaling-only-webrtc.mjs", import.meta.url);
// @ts-expect-error the package has no types
const { default: Client } = await import("bittorrent-tracker/client");
// @ts-expect-error nor has this one, which that one brings
const { default: WebSocket } = await import("ws");

const PATIENCE_MS = 15_000;
/** The messages of docs/PROTOCOL.md §13. @type {any[]} */
const VECTORS = JSON.parse(readFileSync(join(ROOT, "tests/vectors/tracker/messages.json"), "utf8")).client_to_server;

/** @typedef {any} TrackerClient the package has no types */

/** @type {import("./lib/server.mjs").SwarmreelServer} */
let server;
/** @type {TrackerClient[]} */
const clients = [];
before(async () => {
  server = await startSwarmreel();
});
after(async () => {
  await Promise.all(clients.map((client) => new Promise((resolve) => client.destroy(resolve))));
  await server.close();
});

/**
 * A client that fails the test when the tracker warns it.
 * @param {string} infoHash
 * @param {number} left
 * @param {string} [announce]
 * @returns {TrackerClient}
 */
function client(infoHash, left, announce) {
  // Clients of one process share the connection to one address, and these are people of their own.
  announce ??= `ws://127.0.0.1:${server.port}/${clients.length}`;
  const peerId = Buffer.from(`-WW0300-${randomBytes(6).toString("hex")}`);
  const made = new Client({ infoHash, peerId, announce, port: 6881, getAnnounceOpts: () => ({ left }) });
  made.left = left;
  made.on("warning", (/** @type {Error} */ error) => made.emit("error", error));
  clients.push(made);
  return made;
}

const drawHash = () => randomBytes(20).toString("hex");

/** @param {import("node:events").EventEmitter} emitter @param {string} event */
async function hears(emitter, event) {
  const [said] = await once(emitter, event, { signal: AbortSignal.timeout(PATIENCE_MS) });
  return said;
}

/** The next update of a client. @param {TrackerClient} client @param {() => void} act */
async function update(client, act) {
  const heard = hears(client, "update");
  act();
  const { complete, incomplete, interval } = await heard;
  assert.equal(interval, 90);
  return { complete, incomplete };
}

test("a client of the npm package starts, updates, completes, scrapes and stops", async () => {
  const infoHash = drawHash();
  const [peer, other] = [client(infoHash, 5), client(infoHash, 0)];
  assert.deepEqual(await update(peer, () => peer.start()), { complete: 0, incomplete: 1 });
  assert.deepEqual(await update(other, () => other.start()), { complete: 1, incomplete: 1 });
  assert.deepEqual(await update(peer, () => peer.update()), { complete: 1, incomplete: 1 });
  assert.deepEqual(await update(peer, () => peer.complete({ left: 0 })), { complete: 2, incomplete: 0 });

  const scraped = hears(peer, "scrape");
  peer.scrape();
  const { infoHash: about, complete, incomplete, downloaded } = await scraped;
  assert.deepEqual([about, complete, incomplete, downloaded], [infoHash, 2, 0, 2]);

  assert.deepEqual(await update(peer, () => peer.stop()), { complete: 1, incomplete: 0 });
  assert.deepEqual(await update(other, () => other.stop()), { complete: 0, incomplete: 0 });
});

test("a client of the npm package scrapes several torrents at once, over WebSocket and over HTTP", async () => {
  // Over HTTP the package misnames every hash that is not UTF-8.
  const drawText = () => Buffer.from(drawHash().slice(0, 20)).toString("hex");
  const [known, unknown] = [drawText(), drawText()];
  const peer = client(known, 0);
  await update(peer, () => peer.start());
  for (const scheme of ["ws", "http"]) {
    const announce = `${scheme}://127.0.0.1:${server.port}/announce`;
    const both = await scrape(announce, [known, unknown]);
    assert.equal(both[known].complete, 1, scheme);
    assert.deepEqual([both[unknown].complete, both[unknown].incomplete, both[unknown].downloaded], [0, 0, 0], scheme);
    assert.equal((await scrape(announce, known)).complete, 1, scheme);
  }
});

/** @param {string} announce @param {string | string[]} infoHash @returns {Promise<any>} */
function scrape(announce, infoHash) {
  return new Promise((resolve, reject) => {
    Client.scrape({ infoHash, announce }, (/** @type {Error} */ error, /** @type {any} */ found) =>
      error ? reject(error) : resolve(found),
    );
  });
}

test("two clients of the npm package exchange offer and answer", async () => {
  const infoHash = drawHash();
  const [seeder, leecher] = [client(infoHash, 0), client(infoHash, 5)];
  await update(seeder, () => seeder.start());
  const [offered, answered] = [hears(seeder, "peer"), hears(leecher, "peer")];
  await update(leecher, () => leecher.start());
  const [atSeeder, atLeecher] = await Promise.all([offered, answered]);
  assert.deepEqual([atSeeder.id, atLeecher.id], [leecher.peerId, seeder.peerId]);

  /** @param {any} peer @returns {string[]} the descriptions of both sides, as this side has them */
  const descriptions = (peer) => [peer._pc.localDescription.sdp, peer._pc.remoteDescription.sdp];
  assert.deepEqual(descriptions(atSeeder), descriptions(atLeecher).reverse());
  assert.equal(Object.keys(leecher._trackers[0].peers).length, 4, "the other offers wait for others");
});

test("what libtorrent, anacrolix/torrent and webtorrent.js send is understood, and what they get they can read", async () => {
  const vectors = VECTORS.filter(({ name }) => /^(libtorrent|anacrolix|webtorrent)(?!.* answers)/.test(name));
  assert.ok(vectors.length >= 6, `${vectors.length} vectors`);
  for (const { name, text, message, means } of vectors) {
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}/announce`);
    await hears(socket, "open");
    const reply = hears(socket, "message");
    socket.send(text ?? JSON.stringify(message));
    const { complete, incomplete } = libtorrentReads(await reply);
    const seeders = means.event === "completed" || means.left === 0 ? 1 : 0;
    const leechers = means.event === "stopped" ? 0 : 1 - seeders;
    assert.deepEqual([complete, incomplete], [seeders, leechers], name);
    socket.close();
    await hears(socket, "close");
    await gone("a".repeat(20));
  }
});

/**
 * A message as libtorrent takes it, which is the strictest: anything else makes it disconnect.
 * @param {Buffer} bytes
 */
function libtorrentReads(bytes) {
  const reply = JSON.parse(bytes.toString("utf8"));
  assert.equal(reply.action, "announce");
  assert.ok([...reply.info_hash].length === 20 && [...reply.info_hash].every((c) => c <= "\u00ff"), reply.info_hash);
  for (const name of ["interval", "complete", "incomplete"]) assert.ok(Number.isInteger(reply[name]), name);
  for (const name of ["offer", "answer"]) assert.ok(!(name in reply) || reply[name].sdp.length <= 65536, name);
  assert.ok(!Object.values(reply).includes(null));
  return reply;
}

/** Waits until a torrent has no peers. @param {string} infoHash 20 characters */
async function gone(infoHash) {
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/announce`);
  await hears(socket, "open");
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const reply = hears(socket, "message");
    socket.send(JSON.stringify({ action: "scrape", info_hash: infoHash }));
    const { complete, incomplete } = JSON.parse(await reply).files[infoHash];
    if (complete + incomplete === 0) break;
    assert.ok(Date.now() < end, "a closed connection has left its torrents");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  socket.close();
}

test("stats.json has the fields of the npm package's server, and knows its clients", async () => {
  const peer = client(drawHash(), 5);
  await update(peer, () => peer.start());
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const stats = await (await fetch(`${server.site}stats.json`)).json();
    assert.deepEqual(Object.keys(stats).sort(), STATS);
    if (stats.clients.WebTorrent?.["0300"] >= 1) return;
    assert.ok(Date.now() < end, JSON.stringify(stats));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
});

const STATS = [
  "activeTorrents",
  "clients",
  "peersAll",
  "peersIPv4",
  "peersIPv6",
  "peersLeecherOnly",
  "peersSeederAndLeecher",
  "peersSeederOnly",
  "torrents",
];
