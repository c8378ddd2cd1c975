// WebRTC connections, which exist on the page only. Their data channels go to the worker at once; where the browser
// can't transfer one, the page forwards its bytes.
//
// The worker names connections (`link`) and decides everything; whatever fails here is told as `linkClosed`.

import { Forwarder } from "./forwarder.js";
import { Gathering } from "./gathering.js";

/** @typedef {import("./protocol.js").Tell} Tell */

/** An offer made ahead that is older than this is made anew, ms: the machine may have slept, or moved. */
const SPARE_LIFE = 600_000;

/** After an offer made ahead has been taken, the next is made this much later, ms: those in demand come first. */
const SPARE_DELAY = 5000;

/** One connection. Without a link it is the spare. */
class Connection {
  /** @type {number | undefined} */
  link;
  /** A channel that could not be transferred, until it has a link to forward for. @type {RTCDataChannel | undefined} */
  kept;
  /** @type {Forwarder | undefined} */
  forwarder;
  /** Our description, candidates gathered. @type {Promise<string> | undefined} */
  description;
  /** ICE has lost the other side, which may come back. */
  isLost = false;
  madeAt = Date.now();

  /** @param {RTCPeerConnection} pc */
  constructor(pc) {
    this.pc = pc;
  }

  /** Describes our side: an offer, or the answer if the other side has offered. @param {Gathering} gathering */
  describe(gathering) {
    this.description = this.pc.setLocalDescription().then(() => gathering.description(this.pc));
    // Whoever waits for it hears of a failure; the spare may have no one.
    this.description.catch(() => {});
    return this.description;
  }
}

export class Connections {
  #tell;
  #options;
  #gathering = new Gathering();
  /** @type {Map<number, Connection>} */
  #links = new Map();
  /** @type {Connection | undefined} */
  #spare;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #nextSpare;

  /**
   * @param {Tell} tell
   * @param {{ rtc: RTCConfiguration, bufferLow: number, transferChannels: boolean }} options
   */
  constructor(tell, options) {
    this.#tell = tell;
    this.#options = { ...options, rtc: onlyRelaysIfAsked(options.rtc) };
  }

  /** Makes an offer ahead, so that the next torrent need not wait for its candidates. */
  warmUp() {
    try {
      this.#spare = this.#makeOffer();
    } catch {
      // Then whoever needs a connection finds out, and says so.
    }
  }

  /** The network has changed: an offer made ahead names addresses of the old one. */
  renew() {
    if (!this.#spare) return;
    this.#spare.pc.close();
    this.warmUp();
  }

  /** Connections made from now on use these servers. @param {RTCIceServer[]} iceServers */
  useServers(iceServers) {
    this.#options.rtc = onlyRelaysIfAsked({ ...this.#options.rtc, iceServers });
  }

  /** @param {{ link: number }} message */
  offer({ link }) {
    this.#attempt(link, async () => {
      const connection = this.#takeSpare() ?? this.#makeOffer(link);
      this.#name(connection, link);
      const sdp = await connection.description;
      if (sdp && this.#links.get(link) === connection) this.#tell("offerReady", { link, sdp });
    });
  }

  /** @param {{ link: number, sdp: string }} message */
  answer({ link, sdp }) {
    this.#attempt(link, async () => {
      const connection = this.#connect();
      this.#name(connection, link);
      connection.pc.ondatachannel = ({ channel }) => {
        connection.pc.ondatachannel = null;
        this.#handOver(connection, channel);
      };
      await connection.pc.setRemoteDescription({ type: "offer", sdp });
      const answer = await connection.describe(this.#gathering);
      if (this.#links.get(link) === connection) this.#tell("answerReady", { link, sdp: answer });
    });
  }

  /** @param {{ link: number, sdp: string }} message */
  accept({ link, sdp }) {
    this.#attempt(link, async () => this.#links.get(link)?.pc.setRemoteDescription({ type: "answer", sdp }));
  }

  /** @param {{ link: number, bytes: Uint8Array<ArrayBuffer> }} message */
  send({ link, bytes }) {
    this.#links.get(link)?.forwarder?.send(bytes);
  }

  /** @param {{ link: number }} message */
  close({ link }) {
    const connection = this.#links.get(link);
    this.#links.delete(link);
    connection?.forwarder?.end();
    connection?.pc.close();
  }

  /** Closes everything. */
  end() {
    this.#takeSpare()?.pc.close();
    clearTimeout(this.#nextSpare);
    for (const link of [...this.#links.keys()]) this.close({ link });
  }

  /**
   * @param {number} link
   * @param {() => Promise<unknown>} steps
   */
  #attempt(link, steps) {
    steps().catch(() => this.#fail(link));
  }

  /** @param {number} link */
  #fail(link) {
    this.close({ link });
    this.#tell("linkClosed", { link });
  }

  #connect() {
    const connection = new Connection(new RTCPeerConnection(this.#options.rtc));
    connection.pc.onconnectionstatechange = () => this.#heed(connection);
    return connection;
  }

  /** @param {Connection} connection whose state has changed */
  #heed(connection) {
    const { link, pc } = connection;
    if (link === undefined || !this.#links.has(link)) return;
    if (["failed", "closed"].includes(pc.connectionState)) return this.#fail(link);
    // `disconnected` heals, or turns into `failed`.
    const isLost = pc.connectionState === "disconnected";
    if (isLost !== connection.isLost) this.#tell("linkReachable", { link, reachable: !isLost });
    connection.isLost = isLost;
  }

  /** @param {number} [link] */
  #makeOffer(link) {
    const connection = this.#connect();
    if (link !== undefined) this.#name(connection, link);
    this.#handOver(connection, connection.pc.createDataChannel("swarmreel"));
    connection.describe(this.#gathering);
    return connection;
  }

  #takeSpare() {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare) this.#nextSpare = setTimeout(() => this.warmUp(), SPARE_DELAY);
    if (!spare || Date.now() - spare.madeAt < SPARE_LIFE) return spare;
    spare.pc.close();
  }

  /**
   * @param {Connection} connection
   * @param {number} link
   */
  #name(connection, link) {
    if (connection.link === link) return;
    connection.link = link;
    this.#links.set(link, connection);
    if (!connection.description) return;
    if (connection.kept) this.#forward(connection, link, connection.kept);
    else this.#tell("spareTaken", { link });
  }

  /**
   * Gives the channel to the worker, in the turn in which it was made: later it is no longer transferable.
   * @param {Connection} connection
   * @param {RTCDataChannel} channel
   */
  #handOver(connection, channel) {
    const { link } = connection;
    if (this.#options.transferChannels) {
      try {
        const transfer = [/** @type {Transferable} */ (channel)];
        if (link === undefined) this.#tell("spare", { channel }, transfer);
        else this.#tell("channel", { link, channel }, transfer);
        return;
      } catch {
        // This browser can't, so no later channel need be tried.
        this.#options.transferChannels = false;
      }
    }
    if (link === undefined) connection.kept = channel;
    else this.#forward(connection, link, channel);
  }

  /**
   * @param {Connection} connection
   * @param {number} link
   * @param {RTCDataChannel} channel
   */
  #forward(connection, link, channel) {
    this.#tell("forwarded", { link });
    connection.forwarder = new Forwarder(link, channel, this.#options.bufferLow, this.#tell);
  }
}

/**
 * Who connects by relays only asks no STUN server where it is.
 * @param {RTCConfiguration} configuration
 * @returns {RTCConfiguration}
 */
function onlyRelaysIfAsked(configuration) {
  if (configuration.iceTransportPolicy !== "relay") return configuration;
  const relays = (configuration.iceServers ?? []).map((server) => ({
    ...server,
    urls: [server.urls].flat().filter((url) => /^turns?:/i.test(url)),
  }));
  return { ...configuration, iceServers: relays.filter(({ urls }) => urls.length > 0) };
}
