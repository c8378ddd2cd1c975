// The other videos that are open in this tab: go to one, or take it away.
// Invariant: shows every open item except the one on the screen.

import { find, rows, say, show } from "./dom.js";

/** @typedef {import("./item.js").Item} Item */

export class Shelf {
  /** @param {{ onOpen: (item: Item) => void, onRemove: (item: Item) => void }} handlers */
  constructor(handlers) {
    this.root = find(document, ".shelf", HTMLElement);
    this.list = find(this.root, "ul", HTMLUListElement);
    /** @type {Item[]} */
    this.items = [];
    this.list.addEventListener("click", (event) => {
      const button = event.target instanceof Element ? event.target.closest("button") : null;
      const row = button?.closest("li");
      const item = row ? this.items[[...this.list.children].indexOf(row)] : undefined;
      if (!button || !item) return;
      if (button.classList.contains("shelf-remove")) handlers.onRemove(item);
      else handlers.onOpen(item);
    });
  }

  /** @param {Item[]} items @param {boolean} stopped the engine is gone */
  update(items, stopped) {
    this.items = items;
    show(this.root, items.length > 0);
    rows(this.list, "shelf-row", items.length).forEach((row, index) => {
      const item = items[index];
      const words = item.words("none", stopped);
      say(find(row, ".shelf-name", HTMLElement), item.name);
      say(
        find(row, ".shelf-state", HTMLElement),
        item.problem?.title ?? `${words.headline} ${words.figure ?? ""}`.trim(),
      );
      find(row, ".shelf-remove", HTMLElement).setAttribute("aria-label", `Remove ${item.name}`);
    });
  }
}
