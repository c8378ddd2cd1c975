// Reads a byte range of a file as it becomes available: the worker sends what it has been given credit for.

/** @typedef {import("./protocol.js").Tell} Tell */
/** @typedef {import("./protocol.js").ToPage} ToPage */

/** Bytes asked for at a time, and kept ready for a slow consumer. */
const CREDIT = 1 << 20;

export class Reader {
  /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */
  stream;
  #tell;
  #forget;
  /** @type {number | undefined} */
  #read;
  /** @type {ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | undefined} */
  #controller;
  #owed = 0;
  #done = false;
  #onDelivery = () => {};

  /**
   * @param {() => Promise<number>} open begins the read; its number
   * @param {(read: number) => void} forget called once the read is over
   * @param {Tell} tell
   */
  constructor(open, forget, tell) {
    this.#tell = tell;
    this.#forget = forget;
    /** @type {UnderlyingDefaultSource<Uint8Array<ArrayBuffer>>} */
    const source = {
      start: async (controller) => {
        this.#controller = controller;
        this.#read = await open();
        if (this.#done) this.#cancel();
      },
      pull: () => this.#pull(),
      cancel: () => this.#cancel(),
    };
    const size = (/** @type {Uint8Array | undefined} */ bytes) => bytes?.byteLength ?? 0;
    this.stream = new ReadableStream(source, { highWaterMark: CREDIT, size });
  }

  /** @param {ToPage["deliver"]} message */
  deliver({ bytes, last }) {
    if (this.#done) return;
    this.#owed -= bytes.byteLength;
    if (bytes.byteLength > 0) this.#controller?.enqueue(bytes);
    if (last) {
      this.#controller?.close();
      this.#finish();
    }
    this.#onDelivery();
  }

  /** @param {Error} error why nothing more will come */
  fail(error) {
    if (this.#done) return;
    this.#controller?.error(error);
    this.#finish();
    this.#onDelivery();
  }

  #pull() {
    if (this.#done || this.#read === undefined) return;
    if (this.#owed === 0) {
      this.#owed = CREDIT;
      this.#tell("readMore", { read: this.#read, credit: CREDIT });
    }
    return new Promise((/** @type {(value?: undefined) => void} */ resolve) => (this.#onDelivery = resolve));
  }

  #cancel() {
    if (this.#read !== undefined) this.#tell("closeRead", { read: this.#read });
    this.#finish();
  }

  #finish() {
    this.#done = true;
    if (this.#read !== undefined) this.#forget(this.#read);
  }
}

/**
 * Gathers a stream into a blob. The parts become blobs on the way, which the browser may keep out of memory.
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} stream
 * @param {string} type
 * @returns {Promise<Blob>}
 */
export async function toBlob(stream, type) {
  const PART = 4 << 20;
  /** @type {Blob[]} */
  const parts = [];
  /** @type {Uint8Array<ArrayBuffer>[]} */
  let chunks = [];
  let size = 0;
  const reader = stream.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    chunks.push(next.value);
    size += next.value.byteLength;
    if (size < PART) continue;
    parts.push(new Blob(chunks));
    chunks = [];
    size = 0;
  }
  return new Blob([...parts, ...chunks], { type });
}
