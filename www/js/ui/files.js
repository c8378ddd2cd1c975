// The list of a torrent's files: choose what to watch, save what is wanted; and saving itself.
// Invariant: a long list costs little: only so many rows are made.

import { find, rows, say, show } from "./dom.js";
import { isMedia } from "./drop.js";
import { bytes, percent } from "./format.js";

/** Rows at most. */
const SHOWN = 200;
/** How long a saved file's address stays valid, milliseconds: browsers start reading it after the click returns. */
const ADDRESS_FOR = 60_000;

/** @typedef {import("./item.js").Item} Item */
/** @typedef {import("./item.js").TorrentFile} TorrentFile */

export class FileList {
  /** @param {{ onPlay: (index: number) => void, onSave: (index: number) => void }} handlers */
  constructor(handlers) {
    this.card = find(document, ".files", HTMLElement);
    this.list = find(this.card, "ul", HTMLUListElement);
    this.more = find(this.card, ".files-more", HTMLElement);
    this.list.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button") : null;
      const row = button?.closest("li");
      if (!button || !row) return;
      const index = [...this.list.children].indexOf(row);
      if (button.classList.contains("file-save")) handlers.onSave(index);
      else handlers.onPlay(index);
    });
  }

  /** @param {Item | null} item */
  update(item) {
    const files = (item?.ready && item.torrent?.files) || [];
    show(this.card, files.length > 1);
    if (!item || files.length < 2) return;
    rows(this.list, "file-row", Math.min(files.length, SHOWN)).forEach((row, index) => {
      say(find(row, ".file-name", HTMLElement), within(item.name, files[index].path));
      fill(row, files[index], index === item.selected, item.saving.has(index), item.origin === "opened");
    });
    show(this.more, files.length > SHOWN);
    say(this.more, `and ${files.length - SHOWN} more`);
  }
}

/**
 * @param {HTMLElement} row
 * @param {TorrentFile} file
 * @param {boolean} selected
 * @param {boolean} saving
 * @param {boolean} savable
 */
function fill(row, file, selected, saving, savable) {
  const play = find(row, ".file-play", HTMLButtonElement);
  const save = find(row, ".file-save", HTMLButtonElement);
  play.disabled = !isMedia(file);
  play.setAttribute("aria-current", String(selected));
  const part = file.progress < 1 ? `${percent(file.progress)} of ${bytes(file.length)}` : bytes(file.length);
  say(find(row, ".file-facts", HTMLElement), saving ? `Saving, ${part}` : part);
  show(save, savable);
  save.disabled = saving;
  save.setAttribute("aria-label", `Save ${file.name}`);
}

/** A path without the torrent's own folder, which every file is in. @param {string} folder @param {string} path */
function within(folder, path) {
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path;
}

/**
 * Waits until a file is here, and gives it to the browser to save.
 * @param {TorrentFile} file
 */
export async function save(file) {
  const address = URL.createObjectURL(await file.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = file.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), ADDRESS_FOR);
}
