// Links in and out of the page: what a person pasted, what the address bar says, what to send to a friend.
// Invariant: pure functions on text. The engine alone decides whether a link is good; here it is only unwrapped.

/**
 * What to hand to the engine for a text that a person pasted: a share link of this or another Swarmreel gives what is
 * behind its `#`; everything else is passed on as it is.
 * @param {string} text
 */
export function unwrap(text) {
  const trimmed = text.trim();
  if (!/^https?:\/\//i.test(trimmed)) return trimmed;
  const hash = trimmed.indexOf("#");
  return hash < 0 ? trimmed : fromFragment(trimmed.slice(hash));
}

/**
 * The link in a `location.hash`. Chat programs like to escape the whole of it, so `magnet%3A…` is read too.
 * @param {string} hash with its `#`, or empty
 */
export function fromFragment(hash) {
  const fragment = hash.replace(/^#/, "");
  if (!/^magnet%3a/i.test(fragment)) return fragment;
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

/**
 * The shortest fragment that leads someone else to the same swarm: the bare info hash when the trackers are the page's
 * own, which every visitor's page asks anyway, and the magnet link when others are needed.
 * @param {{ infoHash: string, magnetURI: string }} torrent
 * @param {string} host `location.host`
 */
export function toFragment({ infoHash, magnetURI }, host) {
  return trackersOf(magnetURI).every((tracker) => hostOf(tracker) === host) ? infoHash : magnetURI;
}

/**
 * The info hash that a link names, if it is written in hexadecimal: enough to recognise a torrent that is already open.
 * @param {string} source
 */
export function infoHashOf(source) {
  const found = /^(?:magnet:\?(?:.*&)?xt=urn:btih:)?([0-9a-f]{40})(?:&|$)/i.exec(source);
  return found ? found[1].toLowerCase() : null;
}

/**
 * The name that a magnet link proposes (`dn`), or nothing.
 * @param {string} source
 */
export function nameOf(source) {
  return /^magnet:\?/i.test(source) ? (new URLSearchParams(source.slice(8)).get("dn") ?? "") : "";
}

/** The WebSocket trackers of a magnet link; a browser can ask no others. @param {string} magnet */
function trackersOf(magnet) {
  const query = new URLSearchParams(magnet.slice(magnet.indexOf("?") + 1));
  return [...query.entries()]
    .filter(([key, value]) => /^tr(\.\d+)?$/.test(key) && /^wss?:/i.test(value))
    .map(([, value]) => value);
}

/** @param {string} url */
function hostOf(url) {
  return URL.canParse(url) ? new URL(url).host : null;
}
