// A scene: one test with its people and servers. Invariant: it ends by itself, cleans up, and fails on a page's
// unexpected error.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startAquatic } from "./aquatic.mjs";
import { Closers } from "./cleanup.mjs";
import { arrive } from "./people.mjs";
import { startTracker, startSwarmreel } from "./server.mjs";
import { startPages } from "./static.mjs";
import { startTurn } from "./turn.mjs";
import { startWeb } from "./web.mjs";

/** @typedef {import("./people.mjs").Person} Person */
/** @typedef {import("./people.mjs").Kind} Kind */

export class Stage {
  #closers = new Closers();
  /** @type {Person[]} */
  people = [];

  /** @param {Kind} kind @param {Parameters<typeof arrive>[1]} [options] */
  async person(kind, options) {
    const person = await arrive(kind, options);
    this.people.push(person);
    this.#closers.push(() => person.leave());
    return person;
  }

  /** Our own server: signaling and site. @param {Parameters<typeof startSwarmreel>[0]} [options] */
  async swarmreel(options) {
    return this.keep(await startSwarmreel(options));
  }

  /** The `bittorrent-tracker` package's server. */
  async tracker() {
    return this.keep(await startTracker());
  }

  /** A TURN server. */
  async turn() {
    return this.keep(await startTurn());
  }

  /** aquatic_ws. */
  async aquatic() {
    return this.keep(await startAquatic());
  }

  /** The test's own pages: webtorrent and the bare channel. */
  async pages() {
    return this.keep(await startPages());
  }

  /** A web server of another origin, with files. @param {Parameters<typeof startWeb>} args */
  async web(...args) {
    return this.keep(await startWeb(...args));
  }

  /** Closes a thing when the scene is over. @template {{ close(): unknown }} T @param {T} thing @returns {T} */
  keep(thing) {
    this.#closers.push(() => thing.close());
    return thing;
  }

  /** Something to undo when the scene is over. @param {() => unknown} close */
  closes(close) {
    this.#closers.push(close);
  }

  /** Fails when a page reported an error nobody expected. */
  checkErrors() {
    const errors = this.people.flatMap(({ name, errors }) => errors.map((error) => `${name}: ${error}`));
    assert.deepEqual(errors, [], "pages reported errors");
  }

  /** @param {string} label */
  async keepEvidence(label) {
    await Promise.all(this.people.map((person) => person.keepEvidence(label).catch(() => {})));
  }

  async close() {
    await this.#closers.close();
  }
}

/**
 * Declares a test that plays on a stage.
 * @param {string} name
 * @param {(stage: Stage) => Promise<void>} play
 * @param {{ seconds?: number, missing?: string }} [options] `seconds`: the scene fails when it takes longer; `missing`:
 *   what it needs and is not there, so that it is skipped, aloud
 */
export function scene(name, play, { seconds = 90, missing } = {}) {
  if (missing) process.stderr.write(`\nSKIPPED: "${name}": ${missing}\n\n`);
  test(name, { skip: missing }, async () => {
    const stage = new Stage();
    try {
      await withDeadline(play(stage), seconds, name);
      stage.checkErrors();
    } catch (error) {
      await stage.keepEvidence(name);
      throw error;
    } finally {
      await stage.close();
    }
  });
}

/** @template T @param {Promise<T>} promise @param {number} seconds @param {string} what @returns {Promise<T>} */
async function withDeadline(promise, seconds, what) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`"${what}" did not end within ${seconds} s`)), seconds * 1000);
  });
  promise.catch(() => {}); // A scene that fails after its deadline has already been reported.
  try {
    return await /** @type {Promise<T>} */ (Promise.race([promise, late]));
  } finally {
    clearTimeout(timer);
  }
}
