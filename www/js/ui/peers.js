// Who else is here, as a list that a person likes to read.
// Invariant: what peers say of themselves is text, isolated from the text around it.

import { find, rows, say, show } from "./dom.js";
import { count, percent, speed } from "./format.js";

/** Rows at most; the fastest come first. */
const SHOWN = 6;

/** @typedef {import("./item.js").Stats["peers"][number]} Peer */

export class PeerList {
  constructor() {
    const card = find(document, ".peers", HTMLElement);
    this.title = find(card, "h2", HTMLElement);
    this.list = find(card, "ul", HTMLUListElement);
    this.more = find(card, ".peers-more", HTMLElement);
  }

  /** @param {readonly Peer[]} peers @param {string} noun what they are to this person */
  update(peers, noun) {
    say(this.title, peers.length === 0 ? `No ${noun}s yet` : count(peers.length, noun));
    const fastest = [...peers].sort((a, b) => traffic(b) - traffic(a)).slice(0, SHOWN);
    rows(this.list, "peer-row", fastest.length).forEach((row, index) => fill(row, fastest[index]));
    show(this.more, peers.length > SHOWN);
    say(this.more, `and ${peers.length - SHOWN} more`);
  }
}

/** @param {HTMLElement} row @param {Peer} peer */
function fill(row, peer) {
  const face = find(row, ".peer-face", HTMLElement);
  face.style.setProperty("--part", percent(peer.progress).replace(" ", ""));
  say(find(row, ".peer-name", HTMLElement), peer.client || "Unknown client");
  say(find(row, ".peer-has", HTMLElement), peer.progress < 1 ? `has ${percent(peer.progress)}` : "has it all");
  speedInto(find(row, ".peer-down", HTMLElement), "↓", peer.downloadSpeed, "from them");
  speedInto(find(row, ".peer-up", HTMLElement), "↑", peer.uploadSpeed, "to them");
}

/** @param {HTMLElement} element @param {string} arrow @param {number} value @param {string} direction */
function speedInto(element, arrow, value, direction) {
  show(element, value > 0);
  say(element, `${arrow} ${speed(value)}`);
  element.title = `${speed(value)} ${direction}`;
}

/** @param {Peer} peer */
function traffic({ downloadSpeed, uploadSpeed }) {
  return downloadSpeed + uploadSpeed;
}
