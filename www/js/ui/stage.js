// Words and figures around the picture: the state, the film strip of progress, the speeds, the name.
// Invariant: a pure view; everything it shows is given to `update`.

import { find, say, show } from "./dom.js";
import { bytes, percent, span, speed } from "./format.js";

/** @typedef {import("./item.js").Item} Item */

export class Stage {
  /** @param {{ onSave: () => void, onRemove: () => void }} handlers */
  constructor(handlers) {
    const at = (/** @type {string} */ selector) => find(document, selector, HTMLElement);
    this.status = at(".status");
    this.headline = at(".status-headline");
    this.detail = at(".status-detail");
    this.figure = at(".status-figure");
    this.film = find(document, ".film", HTMLProgressElement);
    this.name = at(".name");
    this.save = find(document, ".actions .save", HTMLButtonElement);
    this.saveText = at(".save-text");
    this.remove = find(document, ".actions .remove", HTMLButtonElement);
    this.amountLabel = at(".figure-amount-label");
    this.amount = at(".figure-amount");
    this.down = at("[data-testid=download-speed]");
    this.up = at("[data-testid=upload-speed]");
    this.lastLabel = at(".figure-last-label");
    this.last = at(".figure-last");
    this.save.addEventListener("click", handlers.onSave);
    this.remove.addEventListener("click", handlers.onRemove);
  }

  /** @param {Item} item @param {import("./state.js").Words} words */
  update(item, words) {
    const progress = item.hashing ?? item.stats?.progress ?? 0;
    this.status.dataset.state = words.key;
    this.status.classList.toggle("busy", words.busy ?? false);
    say(this.headline, words.headline);
    say(this.detail, words.detail);
    say(this.figure, words.figure ?? "");
    this.film.value = progress;
    say(this.film, percent(progress));
    say(this.name, item.name);
    this.updateActions(item);
    this.updateFigures(item);
  }

  /** @param {Item} item */
  updateActions(item) {
    const file = item.mainFile;
    const saving = item.saving.has(item.mainIndex);
    show(this.save, item.origin === "opened" && file !== undefined);
    this.save.disabled = saving;
    say(this.saveText, saving && file ? `Saving, ${percent(file.progress)}` : "Save");
    say(this.remove, item.origin === "shared" ? "Stop sharing" : "Remove");
  }

  /** @param {Item} item */
  updateFigures(item) {
    const stats = item.stats;
    const length = item.torrent?.length ?? 0;
    const { progress = 0, uploaded = 0, downloadSpeed = 0, uploadSpeed = 0 } = stats ?? {};
    const here = progress < 1 ? `${percent(progress)} of ${bytes(length)}` : bytes(length);
    const size = item.sources.reduce((sum, file) => sum + file.size, 0);
    say(this.amountLabel, item.origin === "shared" ? "Size" : "Downloaded");
    say(this.amount, item.origin === "shared" ? bytes(size) : item.ready ? here : "–");
    say(this.down, speed(downloadSpeed));
    say(this.up, speed(uploadSpeed));
    const left = downloadSpeed > 0 ? span((length * (1 - progress)) / downloadSpeed) : "–";
    const running = item.origin === "opened" && progress < 1;
    say(this.lastLabel, running ? "Time left" : "Sent to others");
    say(this.last, running ? left : bytes(uploaded));
  }
}
