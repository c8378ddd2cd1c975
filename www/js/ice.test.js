// Which servers a page uses, and that it has new credentials before the old ones end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { IceServers } from "./ice.js";

/** @typedef {{ status?: number, body: unknown }} Answer */

/**
 * A page of this host.
 * @param {string} host
 * @param {() => Answer} answer to `/config.json`
 */
function visit(host, answer) {
  globalThis.location = /** @type {any} */ (new URL(`https://${host}/watch#magnet`));
  globalThis.fetch = async (url) => {
    assert.equal(new URL(String(url)).pathname, "/config.json");
    const { status = 200, body } = answer();
    return new Response(typeof body === "string" ? body : JSON.stringify(body), { status });
  };
}

/** @param {string} host @param {unknown} body @param {number} [status] */
async function servers(host, body, status) {
  visit(host, () => ({ status, body }));
  return new IceServers(() => assert.fail("nothing is renewed")).load();
}

test("our own STUN server is at the page's host, if that is not this machine", async () => {
  const config = { iceServers: [{ urls: "stun:a.test" }], stun: { port: 3478 } };
  const others = [{ urls: "stun:a.test" }];
  for (const host of ["reel.test:8443", "192.0.2.1", "127.reel.test"]) {
    const [name] = host.split(":");
    assert.deepEqual(await servers(host, config), [{ urls: `stun:${name}:3478` }, ...others]);
  }
  assert.deepEqual(await servers("[2001:db8::1]:8443", config), [{ urls: "stun:[2001:db8::1]:3478" }, ...others]);
  for (const host of ["localhost", "me.localhost:1", "127.0.0.1", "127.3.4.5", "[::1]:8080"]) {
    assert.deepEqual(await servers(host, config), others, host);
  }
  assert.deepEqual(await servers("reel.test", { iceServers: [] }), [], "a server without one");
});

test("what is no answer names no servers", async () => {
  for (const body of ["<!doctype html>", "", "null", "[]", { iceServers: "stun:a.test" }]) {
    assert.deepEqual(await servers("reel.test", body), [], JSON.stringify(body));
  }
  assert.deepEqual(await servers("reel.test", { iceServers: [{ urls: "stun:a.test" }] }, 429), []);
});

test("credentials are renewed halfway through their life, also after a sleep, and a refusal keeps the old", async ({ mock }) => {
  mock.timers.enable({ apis: ["setInterval"] });
  let now = 0;
  mock.method(Date, "now", () => now);
  let asked = 0;
  let isRefused = false;
  visit("reel.test", () => {
    asked += 1;
    if (isRefused) return { status: 429, body: "" };
    return { body: { iceServers: [{ urls: "turn:t.test", username: `${asked}`, credential: "x" }], lifetime: 3600 } };
  });
  /** @type {unknown[]} */
  const renewed = [];
  const ice = new IceServers(([{ username }]) => renewed.push(username));
  await ice.load();
  ice.watch();
  const passes = async (/** @type {number} */ minutes) => {
    for (let minute = 0; minute < minutes; minute += 1) {
      now += 60_000;
      mock.timers.tick(60_000);
      await new Promise(setImmediate);
    }
  };
  await passes(29);
  assert.equal(asked, 1);
  await passes(2);
  assert.deepEqual([asked, renewed], [2, ["2"]]);
  isRefused = true;
  await passes(31);
  assert.deepEqual(renewed, ["2"], "nothing worse than what is there");
  isRefused = false;
  await passes(2);
  assert.equal(renewed.length, 2, "asked again soon");
  now += 8 * 3_600_000;
  await passes(1);
  assert.equal(renewed.length, 3, "within a minute of waking up");
  ice.end();
  await passes(120);
  assert.equal(renewed.length, 3);
});
