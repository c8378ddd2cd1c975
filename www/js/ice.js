// The servers that help connections through NATs: those that the caller names, or those of the page's host.
//
// A host's TURN credentials are asked for again before they end, for connections made later; those that are open keep
// what they have. Invariant: no server is used that neither the caller nor the page's host names.

/** How often credentials are looked at, ms. A timer for their end would stand still while the machine sleeps. */
const LOOK_EVERY = 60_000;
/** A host that was asked too often, or can't be reached, is asked again after this long, s. */
const BUSY_FOR = 10;

/**
 * @typedef {object} Config what `/config.json` says
 * @property {RTCIceServer[]} [iceServers]
 * @property {{ port?: number }} [stun] the host's own STUN server
 * @property {number} [lifetime] s, after which the credentials end
 */

export class IceServers {
  #onRenewed;
  /** ms since 1970; never, where nothing ends. */
  #renewAt = Infinity;
  #lookEvery = LOOK_EVERY;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** @param {(iceServers: RTCIceServer[]) => void} onRenewed */
  constructor(onRenewed) {
    this.#onRenewed = onRenewed;
  }

  /** @returns {Promise<RTCIceServer[]>} what the page's host names; none where it names none */
  async load() {
    const { iceServers = [] } = await this.#ask();
    return iceServers;
  }

  /** Has what `load` returned renewed before it ends. */
  watch() {
    if (this.#renewAt !== Infinity) this.#timer = setInterval(() => this.#renewIfDue(), this.#lookEvery);
  }

  end() {
    clearInterval(this.#timer);
  }

  async #renewIfDue() {
    if (Date.now() < this.#renewAt) return;
    this.#renewAt = Date.now() + BUSY_FOR * 1000;
    const { iceServers } = await this.#ask();
    if (iceServers) this.#onRenewed(iceServers);
  }

  async #ask() {
    const config = await fetchConfig();
    if (config.lifetime) {
      // Halfway, so that whatever begins with them has time to use them.
      this.#renewAt = Date.now() + config.lifetime * 500;
      this.#lookEvery = Math.min(LOOK_EVERY, config.lifetime * 250);
    }
    return config;
  }
}

/** @returns {Promise<{ iceServers?: RTCIceServer[], lifetime?: number }>} */
async function fetchConfig() {
  try {
    const answer = await fetch(new URL("/config.json", location.href));
    if (answer.status === 429) return { lifetime: BUSY_FOR };
    const { iceServers, stun, lifetime } = /** @type {Config} */ (await answer.json());
    const own = ownServer(stun, location.hostname);
    return { iceServers: [...own, ...(Array.isArray(iceServers) ? iceServers : [])], lifetime };
  } catch {
    return {};
  }
}

/**
 * The host's own STUN server. To a page on the same machine it could tell nothing new.
 * @param {Config["stun"]} stun
 * @param {string} hostname as in `location`: an IPv6 address is in brackets
 * @returns {RTCIceServer[]}
 */
function ownServer(stun, hostname) {
  const isLoopback = /^(.+\.)?localhost$|^127(\.\d+){3}$|^\[::1\]$/.test(hostname);
  return stun?.port && hostname && !isLoopback ? [{ urls: `stun:${hostname}:${stun.port}` }] : [];
}
