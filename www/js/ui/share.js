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
    this.button = find(this.card, ".copy", HTMLButtonElement);
    this.text = find(this.button, ".copy-text", HTMLElement);
    const send = find(this.card, ".send", HTMLButtonElement);
    this.button.addEventListener("click", () => this.copy(this.button, this.link.href));
    const magnetButton = find(this.card, ".copy-magnet", HTMLButtonElement);
    magnetButton.addEventListener("click", () => this.copy(magnetButton, this.magnet.href));
    // Following one's own share link goes nowhere, and reloading would end the sharing.
    this.link.addEventListener("click", (event) => {
      event.preventDefault();
      this.copy(this.button, this.link.href);
    });
    show(send, "share" in navigator);
    send.addEventListener("click", () => navigator.share({ url: this.link.href }).catch(() => {}));
  }

  /**
   * @param {{ link: string, magnet: string } | null} links null hides the card
   * @param {boolean} proud this person shares the file: the card comes first
   */
  update(links, proud) {
    show(this.card, links !== null);
    this.card.classList.toggle("proud", proud);
    if (!links || this.link.href === links.link) return;
    this.link.href = links.link;
    say(this.link, links.link);
    this.magnet.href = links.magnet;
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
