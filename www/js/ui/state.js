// What is going on with one video, in plain words.
// Invariant: `describe` is a pure function, and it always has an answer. Headlines hold no number that changes by the
// second: they are read aloud by screen readers each time they change. Such a number is the `figure`.

import { count, percent } from "./format.js";

/**
 * The part of a torrent's statistics that words depend on.
 * @typedef {object} Traffic
 * @property {number} progress the part that is here and checked, 0 to 1
 * @property {ReadonlyArray<{ progress: number }>} peers connected peers
 * @property {ReadonlyArray<{ state: string }>} webSeeds web servers that have it
 * @property {number} connecting connections being set up
 * @property {{ working: number, total: number }} trackers
 * @property {number | null} timeToFirstFrame milliseconds from the link to the first picture; null before
 */

/**
 * @typedef {object} Facts
 * @property {"shared" | "opened"} origin shared: the file is this person's own
 * @property {boolean} stopped the engine is gone
 * @property {number | null} hashing how far the checksums are, 0 to 1; null when there are none to make
 * @property {boolean} joined the engine has taken the torrent
 * @property {boolean} ready the metadata is known
 * @property {boolean} wasShared this tab shared the file before it was reloaded
 * @property {import("./screen.js").ScreenState} screen
 * @property {number} waited seconds since the link was opened
 * @property {Traffic | null} traffic null before the engine has taken the torrent
 */

/**
 * @typedef {object} Words
 * @property {string} key a stable name of the state, for styles and tests
 * @property {string} headline
 * @property {string} detail
 * @property {string} [figure] a number that changes too fast to be read aloud
 * @property {boolean} [busy] something is under way that needs no one's help
 */

/** Seconds without a peer after which waiting is said to be waiting. */
export const PATIENCE = 8;

/**
 * @param {Facts} facts
 * @returns {Words}
 */
export function describe(facts) {
  if (facts.stopped) return { key: "stopped", headline: "Stopped", detail: "Reload the page to go on." };
  if (facts.hashing !== null) {
    return {
      key: "hashing",
      headline: "Hashing your file",
      figure: percent(facts.hashing),
      detail: "A fingerprint of every part is made on this device. Nothing is uploaded.",
      busy: true,
    };
  }
  if (!facts.joined || !facts.traffic) {
    return { key: "starting", headline: "Starting", detail: "Getting things ready.", busy: true };
  }
  if (facts.origin === "shared") return sharing(facts.traffic, facts.waited, facts.screen);
  const helped = facts.traffic.peers.length > 0 || (facts.ready && isServed(facts.traffic));
  if (facts.traffic.progress < 1 && !helped && !showsSomething(facts.screen)) {
    return finding(facts.traffic, facts.waited, facts.wasShared);
  }
  return facts.ready ? watching(facts.screen, facts.traffic) : resolving(facts.traffic);
}

/**
 * The title of the browser's tab.
 * @param {Words} words
 * @param {string} name
 */
export function tabTitle(words, name) {
  const lead =
    { playing: "▶ ", seeding: "↑ " }[words.key] ?? (words.busy ? `${words.figure ?? words.headline} · ` : "");
  return `${lead}${name} – Swarmreel`;
}

/**
 * @param {Traffic} traffic
 * @param {number} waited
 * @param {Facts["screen"]} screen
 * @returns {Words}
 */
function sharing({ peers, trackers }, waited, screen) {
  const unseen = screen === "failed" ? "This browser can’t play it; the others may have to save it instead. " : "";
  if (peers.length === 0) {
    if (unreachable(trackers, waited)) return trackerDown();
    const detail = "Send the link. Your video starts for whoever opens it. Keep this tab open while they watch.";
    return { key: "sharing", headline: "Ready to share", detail: unseen || detail };
  }
  const leave = "Someone else has the whole video now: the link works even when you leave.";
  const stay = "Keep this tab open to keep sharing: nobody else has the whole video yet.";
  return {
    key: "seeding",
    headline: `Seeding to ${count(peers.length, "viewer")}`,
    detail: unseen + (peers.some((peer) => peer.progress >= 1) ? leave : stay),
  };
}

/**
 * Nobody is connected.
 * @param {Traffic} traffic
 * @param {number} waited
 * @param {boolean} wasShared
 * @returns {Words}
 */
function finding({ connecting, trackers }, waited, wasShared) {
  if (unreachable(trackers, waited)) return trackerDown();
  // Offers wait at the tracker for someone to take them, so a connection in the making only counts at first.
  if (waited >= PATIENCE) {
    const detail = wasShared
      ? "You shared this video from here before the page was reloaded. Choose the file again to go on sharing it."
      : "Nobody who has this video is online right now. Keep this page open: it starts when someone comes.";
    return { key: "alone", headline: "No peers yet", detail };
  }
  if (connecting > 0 && trackers.working > 0) {
    const detail = "Opening a direct line to the others.";
    return { key: "connecting", headline: "Connecting", detail, busy: true };
  }
  const detail = "Asking who has this video.";
  return { key: "looking", headline: "Looking for peers", detail, busy: true };
}

/**
 * Somebody is connected, and the link's content is not known yet.
 * @param {Traffic} traffic
 * @returns {Words}
 */
function resolving({ peers }) {
  const detail = `Connected to ${count(peers.length, "peer")}. Asking what this link holds.`;
  return { key: "metadata", headline: "Getting the details", detail, busy: true };
}

/**
 * @param {Facts["screen"]} screen
 * @param {Traffic} traffic
 * @returns {Words}
 */
function watching(screen, traffic) {
  const { progress, peers, timeToFirstFrame } = traffic;
  const complete = progress >= 1;
  const keep = "You have the whole video. Keep this tab open to keep sharing.";
  const served = isServed(traffic);
  const alone = served
    ? "Nobody else is here right now. It comes from a web server."
    : "Nobody else is here right now. The rest comes when someone is back.";
  const going = peers.length === 0 ? alone : "You share what you have with the others while you watch.";
  const after = complete ? keep : going;
  switch (screen) {
    case "playing":
      return {
        key: "playing",
        headline: complete ? "Playing" : "Playing while it downloads",
        detail: after,
        figure: timeToFirstFrame === null ? undefined : `Started in ${(timeToFirstFrame / 1000).toFixed(1)} s`,
      };
    case "paused":
      return { key: "paused", headline: "Paused", detail: after };
    case "ended":
      return { key: "ended", headline: "The end", detail: after };
    case "waiting":
    case "loading":
      return {
        key: "buffering",
        headline: "Buffering",
        detail: !complete && peers.length === 0 && !served ? alone : "Getting the next pictures.",
        busy: true,
      };
    default:
      return complete
        ? { key: "complete", headline: "Download complete", detail: "Save it, or keep this tab open to keep sharing." }
        : { key: "downloading", headline: "Downloading", detail: "It can be saved as soon as it is here.", busy: true };
  }
}

/** A web server can be asked. @param {Traffic} traffic */
function isServed({ webSeeds }) {
  return webSeeds.some(({ state }) => state === "idle" || state === "fetching");
}

/** @returns {Words} */
function trackerDown() {
  const detail = "Trying again by itself. Are you online?";
  return { key: "offline", headline: "Can’t reach the tracker", detail, busy: true };
}

/** @param {{ working: number, total: number }} trackers @param {number} waited */
function unreachable(trackers, waited) {
  return trackers.total > 0 && trackers.working === 0 && waited >= PATIENCE;
}

/** @param {Facts["screen"]} screen */
function showsSomething(screen) {
  return screen === "playing" || screen === "paused" || screen === "ended";
}
