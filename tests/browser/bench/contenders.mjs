// Who is compared: our peer, webtorrent 3.0.21 and a bare data channel, each behind the same surface. Invariant:
// everything that can be ready before a person pastes the link is ready before the clock starts, for each of them
// alike.
import * as wt from "../lib/wt.mjs";
import * as api from "../lib/api.mjs";

/** @typedef {import("../lib/stage.mjs").Stage} Stage */
/** @typedef {import("../lib/people.mjs").Person} Person */
/** @typedef {import("../lib/media.mjs").Fixture} Fixture */

/**
 * @typedef {object} Times of `performance.now()` on the downloader's page, ms
 * @property {number} addedAt the link was added
 * @property {number} connectedAt the first peer's channel was open
 * @property {number} doneAt the last byte was there (and verified, where anything verifies)
 */

/**
 * @typedef {object} Session a seeder that waits, and a downloader about to start
 * @property {Person} viewer whose browser is measured
 * @property {() => Promise<void>} add starts the download
 * @property {() => Promise<Times>} finished
 */

/**
 * @typedef {object} Camp how a contender's people take part in a swarm
 * @property {string} tracker where they meet
 * @property {(person: Person) => Promise<void>} opens
 * @property {(person: Person, path: string) => Promise<string>} seeds gives the magnet link
 * @property {(person: Person, magnet: string) => Promise<void>} adds
 * @property {(person: Person) => Promise<void>} finishes
 */

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {boolean} plays whether it can show a video
 * @property {(stage: Stage) => Promise<Camp>} [camp] where it can be a swarm's member
 * @property {(stage: Stage, fixture: Fixture, play: boolean) => Promise<Session>} open
 */

/** @param {Stage} stage */
async function pair(stage) {
  const options = { args: ["--disable-background-timer-throttling"] };
  const [seeder, viewer] = await Promise.all(
    ["seeder", "viewer"].map((name) => stage.person("chromium", { name, ...options })),
  );
  return { seeder, viewer };
}

/** @type {Contender} */
export const swarmreel = {
  name: "swarmreel",
  plays: true,
  async open(stage, fixture) {
    const server = await stage.swarmreel();
    const { seeder, viewer } = await pair(stage);
    await Promise.all([api.opens(seeder, server.site), api.opens(viewer, server.site)]);
    const { magnet } = await api.seeds(seeder, fixture.path);
    return {
      viewer,
      add: () => api.adds(viewer, magnet, { play: fixture.seconds > 0 }),
      finished: () => api.times(viewer),
    };
  },
  async camp(stage) {
    const { site, tracker } = await stage.swarmreel();
    return {
      tracker,
      opens: (person) => api.opens(person, site),
      seeds: async (person, path) => (await api.seeds(person, path)).magnet,
      adds: (person, magnet) => api.adds(person, magnet),
      finishes: api.finishes,
    };
  },
};

/** @type {Contender} */
export const webtorrent = {
  name: "webtorrent",
  plays: true,
  async open(stage, fixture, play) {
    const [{ tracker }, { url }] = [await stage.tracker(), await stage.pages()];
    const { seeder, viewer } = await pair(stage);
    await Promise.all([wt.opens(seeder, url), wt.opens(viewer, url)]);
    const magnet = await wt.seeds(seeder, fixture.path, [tracker]);
    if (play) await wt.preparesToPlay(viewer);
    return {
      viewer,
      add: () => wt.adds(viewer, magnet, [tracker], { play }),
      finished: async () => {
        await wt.finishes(viewer);
        return wt.progress(viewer);
      },
    };
  },
  async camp(stage) {
    const [{ tracker }, { url }] = [await stage.tracker(), await stage.pages()];
    return {
      tracker,
      opens: (person) => wt.opens(person, url),
      seeds: (person, path) => wt.seeds(person, path, [tracker]),
      adds: (person, magnet) => wt.adds(person, magnet),
      finishes: wt.finishes,
    };
  },
};

/** @param {number} kibibytes of a message @returns {Contender} */
export function channel(kibibytes) {
  return {
    name: `channel-${kibibytes}k`,
    plays: false,
    async open(stage, fixture) {
      const { url } = await stage.pages();
      const { seeder, viewer } = await pair(stage);
      await Promise.all([seeder, viewer].map(({ page }) => page.goto(`${url}channel.html`)));
      await Promise.all([seeder, viewer].map(({ page }) => page.waitForFunction(() => "channel" in window)));
      return {
        viewer,
        add: () => connect(seeder, viewer, fixture.length, kibibytes * 1024),
        finished: () =>
          viewer.page.evaluate(async () => {
            const { channel } = /** @type {any} */ (window);
            await channel.finished;
            return { ...channel.progress };
          }),
      };
    },
  };
}

/** @param {Person} seeder @param {Person} viewer @param {number} length @param {number} size */
async function connect(seeder, viewer, length, size) {
  const offer = await viewer.page.evaluate((bytes) => /** @type {any} */ (window).channel.offer(bytes), length);
  const answer = await seeder.page.evaluate(
    (...args) => /** @type {any} */ (window).channel.answer(...args),
    offer,
    length,
    size,
  );
  await viewer.page.evaluate((sdp) => /** @type {any} */ (window).channel.accept(sdp), answer);
}
