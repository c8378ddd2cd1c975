// Who else is here, as a list that a person likes to read.
// Invariant: what peers say of themselves is text, isolated from the text around it.

import { find, rows, say, show } from "./dom.js";
import { count, percent, speed } from "./format.js";

/** Rows at most; the fastest come first. */
const SHOWN = 6;

/** @typedef {import("./item.js").Stats["peers"][number]} Peer */
/** @typedef {import("./item.js").Stats["webSeeds"][number]} WebSeed */
/** @typedef {Pick<Peer, "client" | "progress" | "downloadSpeed" | "uploadSpeed">} Row */

export class PeerList {
  constructor() {
    const card = find(document, ".peers", HTMLElement);
    this.title = find(card, "h2", HTMLElement);
    this.list = find(card, "ul", HTMLUListElement);
    this.more = find(card, ".peers-more", HTMLElement);
  }

  /**
   * @param {readonly Peer[]} peers
   * @param {readonly WebSeed[]} webSeeds
   * @param {string} noun what peers are to this person
   */
  update(peers, webSeeds, noun) {
    const servers = webSeeds.filter(({ state }) => state !== "off");
    say(this.title, title(peers.length, noun, servers.length));
    const all = [...peers, ...servers.map(asRow)];
    const fastest = all.sort((a, b) => traffic(b) - traffic(a)).slice(0, SHOWN);
    rows(this.list, "peer-row", fastest.length).forEach((row, index) => fill(row, fastest[index]));
    show(this.more, all.length > SHOWN);
    say(this.more, `and ${all.length - SHOWN} more`);
  }
}

/** @param {number} peers @param {string} noun @param {number} servers */
function title(peers, noun, servers) {
  if (peers + servers === 0) return `No ${noun}s yet`;
  const counts = [peers > 0 && count(peers, noun), servers > 0 && count(servers, "web server")];
  return counts.filter(Boolean).join(" and ");
}

/** A web server looks like a peer that has it all. @param {WebSeed} seed @returns {Row} */
function asRow({ url, downloadSpeed }) {
  return { client: `Web server ${new URL(url).host}`, progress: 1, downloadSpeed, uploadSpeed: 0 };
}

/** @param {HTMLElement} row @param {Row} peer */
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

/** @param {Row} peer */
function traffic({ downloadSpeed, uploadSpeed }) {
  return downloadSpeed + uploadSpeed;
}
