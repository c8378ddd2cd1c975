// The card with the links to send.
// Invariant: a copied link is said to be copied only when it was.

import { find, say, show } from "./dom.js";

/** How long a button says that it has copied, milliseconds. */
const COPIED_FOR = 2000;

export class ShareCard {
  constructor() {
    this.card = find(document, ".share", HTMLElement);
    this.link = find(this.card, ".share-link", HTMLAnchorElement);
    this.magnet = find(this.card, "[data-testid=magnet-link]", HTMLAnchorElement);
    this.magnetRow = find(this.card, ".magnet", HTMLElement);
    this.button = find(this.card, ".copy", HTMLButtonElement);
    this.text = find(this.button, ".copy-text", HTMLElement);
    this.send = find(this.card, ".send", HTMLButtonElement);
    this.button.addEventListener("click", () => this.copy(this.button, this.link.href));
    const magnetButton = find(this.card, ".copy-magnet", HTMLButtonElement);
    magnetButton.addEventListener("click", () => this.copy(magnetButton, this.magnet.href));
    // Following one's own share link goes nowhere, and reloading would end the sharing.
    this.link.addEventListener("click", (event) => {
      event.preventDefault();
      this.copy(this.button, this.link.href);
    });
    show(this.send, "share" in navigator);
    this.send.addEventListener("click", () => navigator.share({ url: this.link.href }).catch(() => {}));
  }

  /**
   * @param {{ link: string, magnet: string } | null} links null while there are none yet
   * @param {boolean} own this person shares the file: the card waits for its link, and stands out
   */
  update(links, own) {
    show(this.card, own || links !== null);
    this.card.classList.toggle("proud", own);
    this.card.classList.toggle("pending", links === null);
    show(this.magnetRow, links !== null);
    this.button.disabled = links === null;
    this.send.disabled = links === null;
    if (links) {
      if (this.link.href !== links.link) this.link.href = links.link;
      this.magnet.href = links.magnet;
    } else {
      this.link.removeAttribute("href");
    }
    say(this.link, links?.link ?? "Your link will be here in a moment.");
  }

  /** @param {HTMLButtonElement} button @param {string} text */
  async copy(button, text) {
    const copied = await toClipboard(text);
    const icon = find(button, ".copy-icon", SVGUseElement);
    const tell = (/** @type {string} */ words, /** @type {string} */ shape) => {
      icon.setAttribute("href", shape);
      if (button === this.button) say(this.text, words);
    };
    tell(copied ? "Copied" : "Copy it by hand", copied ? "#i-check" : "#i-copy");
    setTimeout(() => tell("Copy link", "#i-copy"), COPIED_FOR);
  }
}

/** @param {string} text @returns {Promise<boolean>} */
async function toClipboard(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return byCommand(text);
  }
}

/** Plain-http pages have no clipboard API; the old command still copies a selection. @param {string} text */
function byCommand(text) {
  const before = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return copied;
}
