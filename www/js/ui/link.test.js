// Links are unwrapped and shortened, and never changed in meaning.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fromFragment, infoHashOf, nameOf, toFragment, unwrap } from "./link.js";

const HASH = "dd8255ecdc7ca55fb0bbf81323d87062db1f6d1c";
const MAGNET = `magnet:?xt=urn:btih:${HASH}&dn=Dawn%20%26%20dusk.mp4`;
const HOST = "reel.example:8080";

test("a share link gives what is behind its #", () => {
  assert.equal(unwrap(` https://${HOST}/#${HASH}\n`), HASH);
  assert.equal(unwrap(`http://${HOST}/#${MAGNET}`), MAGNET);
  assert.equal(unwrap(`https://${HOST}/#${encodeURIComponent(MAGNET)}`), MAGNET);
});

test("everything else is passed on for the engine to judge", () => {
  assert.equal(unwrap(`  ${MAGNET} `), MAGNET);
  assert.equal(unwrap(`https://${HOST}/film.mp4`), `https://${HOST}/film.mp4`);
  assert.equal(unwrap("  "), "");
});

test("a fragment's own escapes stay, a fragment escaped as a whole is opened once", () => {
  assert.equal(fromFragment(`#${MAGNET}`), MAGNET);
  assert.equal(fromFragment(`#${encodeURIComponent(MAGNET)}`), MAGNET);
  assert.equal(fromFragment("#magnet%3A%ZZ"), "magnet%3A%ZZ");
  assert.equal(fromFragment(""), "");
});

test("the page's own tracker need not be named in the link, others must", () => {
  const withTracker = (/** @type {string} */ url) => `${MAGNET}&tr=${encodeURIComponent(url)}`;
  const fragment = (/** @type {string} */ magnetURI) => toFragment({ infoHash: HASH, magnetURI }, HOST);
  assert.equal(fragment(MAGNET), HASH);
  assert.equal(fragment(withTracker(`wss://${HOST}/announce`)), HASH);
  assert.equal(fragment(withTracker("udp://tracker.example:1337")), HASH, "no browser can ask it");
  const foreign = withTracker("wss://tracker.example/");
  assert.equal(fragment(foreign), foreign);
  assert.equal(
    fragment(`${withTracker(`ws://${HOST}`)}&tr.1=${encodeURIComponent("wss://tracker.example")}`).length > HASH.length,
    true,
  );
});

test("an info hash is recognised in hexadecimal only", () => {
  assert.equal(infoHashOf(HASH.toUpperCase()), HASH);
  assert.equal(infoHashOf(MAGNET), HASH);
  assert.equal(infoHashOf(`magnet:?dn=a&xt=urn:btih:${HASH}`), HASH);
  assert.equal(infoHashOf(`${HASH}0`), null);
  assert.equal(infoHashOf("magnet:?xt=urn:btih:3WBFL3G4PSSV7MF37AJSHWDQMLNR63I4"), null);
});

test("a magnet link may propose a name", () => {
  assert.equal(nameOf(MAGNET), "Dawn & dusk.mp4");
  assert.equal(nameOf(HASH), "");
  assert.equal(nameOf("magnet:?xt=urn:btih:x&dn=%ZZ"), "%ZZ");
});
