// People: one browser process each, or a profile of their own in one they share, with a page. Invariant: a page's error
// that no test asked for fails that test.
import { existsSync, rmSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import puppeteer from "puppeteer-core";
import { ARTIFACTS } from "./paths.mjs";
import { atExit } from "./cleanup.mjs";

/** @typedef {import("puppeteer-core").Browser} Browser */
/** @typedef {import("puppeteer-core").Page} Page */
/** @typedef {"chromium" | "firefox"} Kind */

const CHROMIUM_ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Host candidates stay plain addresses: there is no mDNS responder on a test machine.
  "--disable-features=WebRtcHideLocalIpsWithMdns",
  "--autoplay-policy=no-user-gesture-required",
  // A window in the background is a person with another tab in front: the tests want everyone watching.
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
];

const FIREFOX_PREFS = {
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  // Loopback only: let ICE use it even when the machine has no other network.
  "media.peerconnection.ice.loopback": true,
  "media.autoplay.default": 0,
  "media.autoplay.blocking_policy": 0,
  "browser.download.folderList": 2,
  "browser.helperApps.neverAsk.saveToDisk": "application/octet-stream,video/mp4,video/webm,audio/mpeg,audio/mp4",
};

/**
 * Where browsers are looked for; `xtask/src/install.rs` looks in the same places.
 * @type {Record<Kind, { variable: string, names: string[] }>}
 */
const BROWSERS = {
  chromium: { variable: "CHROMIUM_BIN", names: ["chromium", "chromium-browser", "google-chrome"] },
  firefox: { variable: "FIREFOX_BIN", names: ["firefox-esr", "firefox"] },
};

/** @param {Kind} kind @returns {string} the browser's path: what the variable names, else the first in PATH */
function executable(kind) {
  const { variable, names } = BROWSERS[kind];
  const named = process.env[variable];
  if (named && !existsSync(named)) throw new Error(`There is no ${named}, which ${variable} names.`);
  const folders = (process.env.PATH ?? "").split(delimiter);
  const inPath = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  const found = named || inPath.find((path) => existsSync(path));
  if (!found) throw new Error(`No ${kind} found: install Debian's ${names[0]}, or name it in ${variable}.`);
  return found;
}

/** One person: a browser process of their own, and the page they look at. */
export class Person {
  /** What went wrong in the page and was not expected. @type {string[]} */
  errors = [];
  /** Everything the page's console said, for the log of a failed test. @type {string[]} */
  log = [];
  /** Errors a test provokes on purpose. @type {RegExp[]} */
  #expected = [];
  /** @type {() => Promise<void>} */
  #discard;

  /**
   * @param {string} name
   * @param {Browser} browser
   * @param {Page} page
   * @param {string} downloads the folder that saved files land in
   * @param {() => Promise<void>} discard
   */
  constructor(name, browser, page, downloads, discard) {
    this.name = name;
    this.browser = browser;
    this.page = page;
    this.downloads = downloads;
    this.#discard = discard;
    page.on("console", (message) => this.#heard(message.type(), message.text(), message.location().url));
    // Both browsers report a worker's console and errors with those of its page.
    page.on("pageerror", (error) => this.#heard("error", `uncaught: ${/** @type {Error} */ (error)?.stack ?? error}`));
  }

  /** The process id of the browser, the root of its process tree. */
  get pid() {
    return /** @type {number} */ (this.browser.process()?.pid);
  }

  /** Errors that match are part of the test. @param {RegExp} pattern */
  expect(pattern) {
    this.#expected.push(pattern);
  }

  /** @param {string} type @param {string} text @param {string} [url] */
  #heard(type, text, url) {
    const line = url ? `${text} (${url})` : text;
    this.log.push(`[${type}] ${line}`);
    if (type === "error" && !this.#expected.some((pattern) => pattern.test(line))) this.errors.push(line);
  }

  /** Ends the browser, or in a house the profile. Safe to call twice. */
  async leave() {
    const discard = this.#discard;
    this.#discard = async () => {};
    await discard();
  }

  /** Keeps what the person saw, for whoever reads the failed test. @param {string} label */
  async keepEvidence(label) {
    const stem = join(ARTIFACTS, `${label}-${this.name}`.replace(/[^\w.-]+/g, "-"));
    await writeFile(`${stem}.log`, `${this.log.join("\n")}\n`);
    if (this.browser.connected)
      await this.page.screenshot({ path: /** @type {any} */ (`${stem}.png`) }).catch(() => {});
  }
}

/**
 * Starts a browser for one person, or gives them a profile of their own in a house.
 * @param {Kind} kind
 * @param {{ name?: string, house?: House } & Launch} [options]
 * @returns {Promise<Person>}
 */
export async function arrive(kind, options = {}) {
  const name = options.name ?? kind;
  if (options.house) return moveIn(name, options.house);
  const { browser, home, discard } = await launch(kind, options);
  const page = (await browser.pages())[0] ?? (await browser.newPage());
  const person = new Person(name, browser, page, home, discard);
  if (kind === "chromium") await saveDownloadsTo(page, home);
  return person;
}

/**
 * @typedef {object} House a browser process that several people share, each with a profile of their own. Cheaper than a
 *   process each where nothing is measured
 * @property {Browser} browser
 * @property {string} home
 * @property {() => Promise<void>} discard
 */

/** Starts the browser of a house. @param {Kind} kind @returns {Promise<House>} */
export function openHouse(kind) {
  return launch(kind, { args: ["--disable-background-timer-throttling"] });
}

/** @param {string} name @param {House} house */
async function moveIn(name, { browser, home }) {
  const context = await browser.createBrowserContext();
  return new Person(name, browser, await context.newPage(), home, () => context.close());
}

/**
 * @typedef {object} Launch
 * @property {string[]} [args] flags for Chromium
 * @property {string[]} [inside] what runs a command where Chromium is to run, like `ip netns exec home`
 * @property {number} [width]
 * @property {number} [height]
 */

/** @param {Kind} kind @param {Launch} options */
async function launch(kind, options) {
  const home = await mkdtemp(join(tmpdir(), "swarmreel-person-"));
  const viewport = { width: options.width ?? 1000, height: options.height ?? 760 };
  const browser = await puppeteer.launch({
    browser: kind === "chromium" ? "chrome" : "firefox",
    executablePath: options.inside ? await entrance(home, options.inside, executable(kind)) : executable(kind),
    pipe: options.inside !== undefined, // From outside no port of theirs can be reached.
    headless: true,
    userDataDir: join(home, "profile"),
    args: kind === "chromium" ? [...CHROMIUM_ARGS, ...(options.args ?? [])] : [],
    extraPrefsFirefox: { ...FIREFOX_PREFS, "browser.download.dir": home },
    defaultViewport: viewport,
    // Scenes have deadlines of their own; a large torrent of the benchmark takes minutes.
    protocolTimeout: 900_000,
  });
  const takeBack = atExit(() => {
    browser.process()?.kill("SIGKILL");
    rmSync(home, { recursive: true, force: true });
  });
  const discard = async () => {
    await closeBrowser(browser);
    takeBack();
    await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  return { browser, home, discard };
}

/** A program that starts another somewhere else. @param {string} home @param {string[]} inside @param {string} program */
async function entrance(home, inside, program) {
  const path = join(home, "browser");
  await writeFile(path, `#!/bin/sh\nexec ${[...inside, program].join(" ")} "$@"\n`, { mode: 0o700 });
  return path;
}

/** @param {Page} page @param {string} folder */
async function saveDownloadsTo(page, folder) {
  const session = await page.createCDPSession();
  await session.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: folder });
}

/** @param {Browser} browser */
async function closeBrowser(browser) {
  const child = browser.process();
  const closed = await Promise.race([
    browser.close().then(
      () => true,
      () => false,
    ),
    new Promise((resolve) => setTimeout(resolve, 5_000, false).unref()),
  ]);
  if (!closed) child?.kill("SIGKILL");
}
