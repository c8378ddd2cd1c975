// Notices when the machine has another network, or has one again: addresses may have changed, and connections be dead.
//
// Sleep is noticed by the worker, whose clock jumps; a connection that dies by itself, by the connection.

/** @typedef {EventTarget & { type?: string }} Information what is used of `NetworkInformation`, where browsers have it */

export class Network {
  #onChange;
  /** @type {Information | undefined} */
  #information = /** @type {{ connection?: Information }} */ (globalThis.navigator)?.connection;
  #type = this.#information?.type;

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  watch() {
    addEventListener("online", this.#changed);
    this.#information?.addEventListener("change", this.#compare);
  }

  end() {
    removeEventListener("online", this.#changed);
    this.#information?.removeEventListener("change", this.#compare);
  }

  #changed = () => this.#onChange();

  /** Estimates of speed change all the time; only a change from one kind of network to another counts. */
  #compare = () => {
    const before = this.#type;
    this.#type = this.#information?.type;
    if (this.#type !== before && this.#type !== "none") this.#onChange();
  };
}
