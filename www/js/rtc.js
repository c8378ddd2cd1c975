// WebRTC connections, which exist on the page only. Their data channels go to the worker at once; where the browser
// can't transfer one, the page forwards its bytes.
//
// The worker names connections (`link`) and decides everything; whatever fails here is told as `linkClosed`.

import { Forwarder } from "./forwarder.js";

/** @typedef {import("./protocol.js").Tell} Tell */

/** No description waits longer for candidates than this, ms: dead interfaces make browsers gather for 40 s. */
const GATHERING_MAX = 5000;
/** After the first public address the others get this long, ms. */
const GATHERING_AFTER_PUBLIC = 1000;

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

  /** @param {RTCPeerConnection} pc */
  constructor(pc) {
    this.pc = pc;
  }

  /** Describes our side: an offer, or the answer if the other side has offered. */
  describe() {
    this.description = this.pc.setLocalDescription().then(() => gathered(this.pc));
    // Whoever waits for it hears of a failure; the spare may have no one.
    this.description.catch(() => {});
    return this.description;
  }
}

export class Connections {
  #tell;
  #options;
  /** @type {Map<number, Connection>} */
  #links = new Map();
  /** @type {Connection | undefined} */
  #spare;

  /**
   * @param {Tell} tell
   * @param {{ iceServers: RTCIceServer[], bufferLow: number, transferChannels: boolean }} options
   */
  constructor(tell, options) {
    this.#tell = tell;
    this.#options = options;
  }

  /** Makes an offer ahead, so that the first torrent need not wait for its candidates. */
  warmUp() {
    try {
      this.#spare = this.#makeOffer();
    } catch {
      // Then the first torrent finds out, and says so.
    }
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
      const answer = await connection.describe();
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
    const connection = new Connection(new RTCPeerConnection({ iceServers: this.#options.iceServers }));
    connection.pc.onconnectionstatechange = () => {
      // `disconnected` heals, or turns into `failed`.
      const isOver = ["failed", "closed"].includes(connection.pc.connectionState);
      if (isOver && connection.link !== undefined && this.#links.has(connection.link)) this.#fail(connection.link);
    };
    return connection;
  }

  /** @param {number} [link] */
  #makeOffer(link) {
    const connection = this.#connect();
    if (link !== undefined) this.#name(connection, link);
    this.#handOver(connection, connection.pc.createDataChannel("swarmreel"));
    connection.describe();
    return connection;
  }

  #takeSpare() {
    const spare = this.#spare;
    this.#spare = undefined;
    return spare;
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
 * Waits until the local description lists all candidates worth waiting for; the protocol has no way to send more.
 * @param {RTCPeerConnection} pc
 * @returns {Promise<string>} the description
 */
function gathered(pc) {
  return new Promise((resolve, reject) => {
    /** @type {ReturnType<typeof setTimeout>[]} */
    const timers = [];
    const finish = () => {
      timers.forEach(clearTimeout);
      pc.onicecandidate = pc.onicegatheringstatechange = null;
      // A closed connection has nothing to describe, and in Firefox throws when asked.
      if (pc.signalingState === "closed" || !pc.localDescription) reject(new Error("closed"));
      else resolve(pc.localDescription.sdp);
    };
    timers.push(setTimeout(finish, GATHERING_MAX));
    pc.onicecandidate = ({ candidate }) => {
      if (!candidate) finish();
      else if (candidate.type === "srflx") timers.push(setTimeout(finish, GATHERING_AFTER_PUBLIC));
    };
    pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && finish();
    if (pc.iceGatheringState === "complete") finish();
  });
}
