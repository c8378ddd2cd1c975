// A data channel that stays on the page: its bytes travel to and from the worker as transferred buffers.
//
// The same engine, one more hop: nothing here looks at the bytes.

/** @typedef {import("./protocol.js").Tell} Tell */

/** How often a full buffer is looked at, ms: `bufferedamountlow` may not fire. */
const BUFFER_POLL = 250;

export class Forwarder {
  #link;
  #channel;
  #tell;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #poll;

  /**
   * @param {number} link
   * @param {RTCDataChannel} channel
   * @param {number} bufferLow bytes of `bufferedAmount` at and below which the worker is told of it
   * @param {Tell} tell
   */
  constructor(link, channel, bufferLow, tell) {
    this.#link = link;
    this.#channel = channel;
    this.#tell = tell;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = bufferLow;
    channel.onmessage = ({ data }) => {
      const bytes = typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data);
      tell("linkData", { link, bytes }, [bytes.buffer]);
    };
    channel.onbufferedamountlow = () => this.#report();
    channel.onclose = () => tell("linkClosed", { link });
    channel.onopen = () => tell("linkOpened", { link });
    if (channel.readyState === "open") tell("linkOpened", { link });
  }

  /** @param {Uint8Array<ArrayBuffer>} bytes one message */
  send(bytes) {
    try {
      this.#channel.send(bytes);
    } catch {
      return this.#tell("linkClosed", { link: this.#link });
    }
    this.#report();
  }

  /** Closes the channel; nothing more is heard of it. */
  end() {
    clearTimeout(this.#poll);
    const channel = this.#channel;
    channel.onopen = channel.onmessage = channel.onbufferedamountlow = channel.onclose = null;
    channel.close();
  }

  #report() {
    const buffered = this.#channel.bufferedAmount;
    clearTimeout(this.#poll);
    this.#poll = undefined;
    if (buffered <= this.#channel.bufferedAmountLowThreshold) {
      this.#tell("linkBuffered", { link: this.#link, buffered });
    } else {
      this.#poll = setTimeout(() => this.#report(), BUFFER_POLL);
    }
  }
}
