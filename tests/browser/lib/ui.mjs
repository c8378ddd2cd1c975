// People who use our page, with mouse and keyboard only. Invariant: everything goes through what the page shows (its
// `data-testid` hooks); nothing reaches behind it.
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { sha256 } from "./media.mjs";

/** @typedef {import("./people.mjs").Person} Person */

/** @param {string} id of the page's hooks */
export const hook = (id) => `[data-testid="${id}"]`;
export const VIDEO = hook("video");

/** Opens the page, or a share link. @param {Person} person @param {string} url */
export async function opens(person, url) {
  // A link that differs only behind its # would not load the page again: a person's click in a chat does.
  if (person.page.url() !== "about:blank") await person.page.goto("about:blank");
  await person.page.goto(url);
  await person.page.waitForSelector(hook("link-input"));
}

/**
 * Chooses files to share, and waits for the link.
 * @param {Person} person
 * @param {...string} paths
 * @returns {Promise<{ share: string, magnet: string }>}
 */
export async function shares(person, ...paths) {
  const input = await person.page.waitForSelector(hook("file-input"));
  await /** @type {any} */ (input).uploadFile(...paths);
  return links(person);
}

/** Waits for the links to send. @param {Person} person @returns {Promise<{ share: string, magnet: string }>} */
export async function links(person) {
  await waits(
    person,
    "share link",
    (share, magnet) => {
      const [a, b] = [share, magnet].map(
        (selector) => /** @type {HTMLAnchorElement | null} */ (document.querySelector(selector)),
      );
      return Boolean(a?.textContent?.includes("#") && a.checkVisibility() && b?.href.startsWith("magnet:"));
    },
    hook("share-link"),
    hook("magnet-link"),
  );
  return person.page.evaluate(
    (share, magnet) => ({
      share: /** @type {HTMLAnchorElement} */ (document.querySelector(share)).textContent?.trim() ?? "",
      magnet: /** @type {HTMLAnchorElement} */ (document.querySelector(magnet)).href,
    }),
    hook("share-link"),
    hook("magnet-link"),
  );
}

/** Pastes a link into the field and presses the button. @param {Person} person @param {string} link */
export async function pastes(person, link) {
  await person.page.focus(hook("link-input"));
  await person.page.evaluate(
    (selector, text) => {
      const input = /** @type {HTMLInputElement} */ (document.querySelector(selector));
      input.value = text;
      input.dispatchEvent(new Event("input", { bubbles: true }));
    },
    hook("link-input"),
    link,
  );
  await person.page.click(hook("add-button"));
}

/** @param {Person} person @returns {Promise<number>} the share of the torrent that the page says it has */
export function progress(person) {
  return person.page.evaluate(
    (selector) => /** @type {HTMLProgressElement} */ (document.querySelector(selector)).value,
    hook("progress"),
  );
}

/** Waits until the page says that everything is here. @param {Person} person */
export function finishes(person) {
  const complete = (/** @type {string} */ selector) =>
    /** @type {HTMLProgressElement} */ (document.querySelector(selector)).value >= 1;
  return waits(person, "a full progress bar", complete, hook("progress"));
}

/**
 * Waits for words in one of the page's places.
 * @param {Person} person
 * @param {string} id
 * @param {RegExp} words
 * @returns {Promise<string>}
 */
export async function reads(person, id, words) {
  await waits(
    person,
    `"${id}" to read ${words}`,
    (selector, source, flags) => {
      const places = [...document.querySelectorAll(selector)].filter((place) => place.checkVisibility());
      return places.some((place) => new RegExp(source, flags).test(/** @type {HTMLElement} */ (place).innerText));
    },
    hook(id),
    words.source,
    words.flags,
  );
  return text(person, id);
}

/**
 * @param {Person} person
 * @param {string} id
 * @returns {Promise<string>} what a place says now; empty when it is hidden
 */
export function text(person, id) {
  return person.page.evaluate((selector) => {
    const place = /** @type {HTMLElement | null} */ (document.querySelector(selector));
    return place?.checkVisibility() ? place.innerText : "";
  }, hook(id));
}

/**
 * Presses the first visible Save button, and waits for the file.
 * @param {Person} person
 * @param {{ name: string, length: number }} file what should be saved
 * @returns {Promise<string>} SHA-256 of the saved file, hex
 */
export async function saves(person, file) {
  await waits(
    person,
    "a Save button",
    (selector) => {
      return [...document.querySelectorAll(selector)].some(
        (button) => button.checkVisibility() && !(/** @type {HTMLButtonElement} */ (button).disabled),
      );
    },
    hook("save-button"),
  );
  await person.page.evaluate((selector) => {
    const button = [...document.querySelectorAll(selector)].find((one) => one.checkVisibility());
    /** @type {HTMLButtonElement} */ (button).click();
  }, hook("save-button"));
  return sha256(await savedFile(person.downloads, file));
}

/** @param {string} folder @param {{ name: string, length: number }} file */
async function savedFile(folder, file) {
  const path = join(folder, basename(file.name));
  for (let tries = 0; tries < 300; tries += 1) {
    const size = await stat(path).then(
      (found) => found.size,
      () => -1,
    );
    if (size === file.length) return path;
    await pause(100);
  }
  throw new Error(
    `${file.name} (${file.length} bytes) was not saved; the folder holds: ${(await readdir(folder)).join(", ")}`,
  );
}

/**
 * @template {unknown[]} Args
 * @param {Person} person
 * @param {string} what for the message of a failure
 * @param {(...args: Args) => unknown} condition runs in the page
 * @param {Args} args
 */
async function waits(person, what, condition, ...args) {
  try {
    await person.page.waitForFunction(/** @type {any} */ (condition), { timeout: 45_000, polling: 50 }, ...args);
  } catch (cause) {
    const says = await person.page.evaluate(() => document.body.innerText).catch(() => "(the page is gone)");
    throw new Error(`${person.name} waited in vain for ${what}; the page says:\n${says}`, { cause });
  }
}
