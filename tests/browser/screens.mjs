// Pictures of the page in its main states, for people to look at: `npm run screens`. Invariant: every state is reached
// the way a person reaches it, with the real server, engine and peers.
import { mkdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { media } from "./lib/media.mjs";
import { ARTIFACTS } from "./lib/paths.mjs";
import { Stage } from "./lib/stage.mjs";
import * as ui from "./lib/ui.mjs";
import { seesFrames, watch } from "./lib/watch.mjs";

/** @typedef {import("./lib/people.mjs").Person} Person */

const FOLDER = join(ARTIFACTS, "screens");
/** Of nothing that anyone has. */
const UNKNOWN = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=A%20film%20nobody%20has";
const SIZES = [
  { width: 390, height: 844 },
  { width: 1280, height: 800 },
];
const SCHEMES = ["light", "dark"];

/** Where people come to be photographed. */
class Studio {
  /** @param {Stage} stage @param {string} site */
  constructor(stage, site) {
    this.stage = stage;
    this.site = site;
  }

  /** @param {string} [url] @returns {Promise<Person>} somebody who has the page open */
  async visitor(url = this.site) {
    const person = await this.stage.person("chromium");
    await ui.opens(person, url);
    return person;
  }

  /** @param {...string} names of media @returns {Promise<{ person: Person, share: string }>} somebody who shares them */
  async sharer(...names) {
    const films = await Promise.all(names.map(media));
    const person = await this.visitor();
    const { share } = await ui.shares(person, ...films.map(({ path }) => path));
    return { person, share };
  }
}

/**
 * How to get into each state; whoever is in it is photographed.
 * @type {Record<string, (studio: Studio) => Promise<Person>>}
 */
const STATES = {
  async home(studio) {
    return studio.visitor();
  },

  async seeding(studio) {
    const { person, share } = await studio.sharer("small-moov-first.mp4");
    await studio.visitor(share);
    await ui.reads(person, "status", /Seeding/);
    return person;
  },

  async playing(studio) {
    const { share } = await studio.sharer("big-moov-first.mp4");
    const person = await studio.visitor(share);
    await watch(person.page, ui.VIDEO);
    await seesFrames(person.page);
    return person;
  },

  async looking(studio) {
    const person = await studio.visitor();
    await ui.pastes(person, UNKNOWN);
    await ui.reads(person, "status", /Looking|Connecting/);
    return person;
  },

  async "no-peers"(studio) {
    const person = await studio.visitor();
    await ui.pastes(person, UNKNOWN);
    await ui.reads(person, "status", /No peers/);
    return person;
  },

  async "bad-link"(studio) {
    const person = await studio.visitor();
    await ui.pastes(person, "magnet:?xt=urn:btih:0123");
    await ui.reads(person, "error", /\w/);
    return person;
  },

  async "unsupported-codec"(studio) {
    const { share } = await studio.sharer("unsupported-hevc.mp4");
    const person = await studio.visitor(share);
    await ui.reads(person, "error", /\w/);
    await ui.finishes(person);
    return person;
  },

  async "several-files"(studio) {
    const { share } = await studio.sharer("small-moov-first.mp4", "small.webm", "sound.mp3");
    const person = await studio.visitor(share);
    await watch(person.page, ui.VIDEO);
    await seesFrames(person.page);
    return person;
  },
};

/** @param {string} name @param {(studio: Studio) => Promise<Person>} reach */
async function photograph(name, reach) {
  const stage = new Stage();
  try {
    const { site } = await stage.swarmreel();
    const { page } = await reach(new Studio(stage, site));
    for (const size of SIZES) {
      await page.setViewport({ ...size, deviceScaleFactor: 1 });
      for (const scheme of SCHEMES) {
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
        await page.evaluate(colorsSettle);
        const path = /** @type {`${string}.png`} */ (join(FOLDER, `${name}-${size.width}-${scheme}.png`));
        await page.screenshot({ path, fullPage: true });
        console.log(relative(process.cwd(), path));
      }
    }
  } finally {
    await stage.close();
  }
}

/** Runs in the page: waits until buttons have faded from the colors before to those they have now. */
async function colorsSettle() {
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const fades = document.getAnimations().filter((one) => one instanceof CSSTransition);
  await Promise.allSettled(fades.map(({ finished }) => finished));
}

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !Object.hasOwn(STATES, name));
if (unknown) {
  console.error(`There is no state ${JSON.stringify(unknown)}: ${Object.keys(STATES).join(", ")}.`);
  process.exit(2);
}
await mkdir(FOLDER, { recursive: true });
for (const [name, reach] of Object.entries(STATES)) {
  if (wanted.length === 0 || wanted.includes(name)) await photograph(name, reach);
}
