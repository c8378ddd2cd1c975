// The card that says what went wrong and what to do.
// Invariant: one problem at a time, the latest; it stays until it is dismissed, and for good if only a reload helps.

import { find, say, show } from "./dom.js";

/** @typedef {import("./problems.js").Problem} Problem */

export class Notice {
  /** @param {{ onSave: () => void, onClose: () => void }} handlers */
  constructor(handlers) {
    this.card = find(document, ".problem", HTMLElement);
    this.save = find(this.card, ".problem-save", HTMLButtonElement);
    this.reload = find(this.card, ".problem-reload", HTMLButtonElement);
    this.save.addEventListener("click", handlers.onSave);
    this.reload.addEventListener("click", () => location.reload());
    this.close = find(this.card, ".problem-close", HTMLButtonElement);
    this.close.addEventListener("click", handlers.onClose);
  }

  /** @param {Problem | null} problem */
  update(problem) {
    if (problem) {
      say(find(this.card, ".problem-title", HTMLElement), problem.title);
      say(find(this.card, ".problem-sentence", HTMLElement), problem.sentence);
      say(find(this.card, ".problem-next", HTMLElement), problem.next);
      this.card.dataset.code = problem.code;
      show(this.save, problem.action === "save");
      show(this.reload, problem.action === "reload");
      show(this.close, problem.action !== "reload");
    }
    show(this.card, problem !== null);
  }
}
