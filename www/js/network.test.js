// The network is new when the machine is online again, or on another kind of network; not when its speed changes.

import assert from "node:assert/strict";
import { test } from "node:test";

test("what counts as a new network", async () => {
  const page = new EventTarget();
  const connection = Object.assign(new EventTarget(), { type: "wifi" });
  globalThis.addEventListener = page.addEventListener.bind(page);
  globalThis.removeEventListener = page.removeEventListener.bind(page);
  Object.defineProperty(globalThis, "navigator", { value: { connection }, configurable: true });
  const { Network } = await import("./network.js");
  let changes = 0;
  const network = new Network(() => (changes += 1));
  const speedChanges = () => connection.dispatchEvent(new Event("change"));

  page.dispatchEvent(new Event("online"));
  assert.equal(changes, 0, "nobody watches yet");
  network.watch();
  page.dispatchEvent(new Event("online"));
  assert.equal(changes, 1);
  speedChanges();
  assert.equal(changes, 1);
  connection.type = "cellular";
  speedChanges();
  assert.equal(changes, 2);
  connection.type = "none";
  speedChanges();
  assert.equal(changes, 2, "without a network there is nothing to do");
  connection.type = "wifi";
  speedChanges();
  assert.equal(changes, 3);
  network.end();
  page.dispatchEvent(new Event("online"));
  assert.equal(changes, 3);
});
