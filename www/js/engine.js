// The page's end of the worker: wishes with answers, facts without, and what the worker says, dispatched by kind.
//
// Everything that the worker said in one turn is handled in one go, in order: an answer's `accept` has run before
// the next message is looked at, so nothing that follows a reply finds its receiver missing.

import { SwarmreelError } from "./error.js";

/** @typedef {import("./protocol.js").FromPage} FromPage */
/** @typedef {import("./protocol.js").ToPage} ToPage */
/** @typedef {import("./protocol.js").Reply} Reply */
/** @typedef {"addText" | "addTorrent" | "seed" | "remove" | "play" | "read" | "destroy"} Wish */
/** @typedef {{ [K in Exclude<keyof ToPage, "reply" | "refused" | "hashing" | "started">]: (body: ToPage[K]) => void }} Handlers */
/** @typedef {{ accept: (reply: Reply) => void, reject: (error: SwarmreelError) => void, onHashing?: (fraction: number) => void }} Call */

/** The worker's address, in the shape that pages which require trusted types take it: our own does. */
const WORKER = (() => {
  const url = new URL("./worker.js", import.meta.url).href;
  try {
    const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy("swarmreel", { createScriptURL: () => url });
    return policy?.createScriptURL(url) ?? url;
  } catch {
    return url; // The page allows no policy of this name; perhaps it requires none.
  }
})();

export class Engine {
  #worker = new Worker(WORKER, { type: "module", name: "swarmreel" });
  /** @type {Map<number, Call>} */
  #calls = new Map();
  #lastCall = 0;
  /** @type {SwarmreelError | undefined} */
  #end;
  #handlers;
  /** @type {(started: ToPage["started"]) => void} */
  #onStarted = () => {};
  /** @type {(error: SwarmreelError) => void} */
  #onStartFailed = () => {};

  /** @param {Handlers} handlers for what is said unasked; `crashed` is the last one called */
  constructor(handlers) {
    this.#handlers = handlers;
    this.#worker.onmessage = ({ data }) => data.forEach(this.#dispatch);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#crash(event.message);
    };
  }

  /**
   * Starts the engine. Rejects where the browser can't run it.
   * @param {FromPage["start"]} settings
   * @returns {Promise<ToPage["started"]>}
   */
  start(settings) {
    return new Promise((resolve, reject) => {
      this.#onStarted = resolve;
      this.#onStartFailed = reject;
      this.tell("start", settings);
    });
  }

  /**
   * States a fact.
   * @type {import("./protocol.js").Tell}
   */
  tell = (kind, body, transfer = []) => {
    if (!this.#end) this.#worker.postMessage({ [kind]: body }, transfer);
  };

  /**
   * Makes a wish. `accept` is called in the turn of the answer; what it returns is what the promise resolves to.
   * @template {Wish} K, T
   * @param {K} kind
   * @param {Omit<FromPage[K], "call">} body
   * @param {(reply: Reply) => T} accept
   * @param {{ transfer?: Transferable[], onHashing?: (fraction: number) => void }} [options]
   * @returns {Promise<T>}
   */
  ask(kind, body, accept, { transfer, onHashing } = {}) {
    return new Promise((resolve, reject) => {
      if (this.#end) return reject(this.#end);
      const call = ++this.#lastCall;
      this.#calls.set(call, { accept: (reply) => resolve(accept(reply)), reject, onHashing });
      this.tell(kind, /** @type {FromPage[K]} */ ({ call, ...body }), transfer);
    });
  }

  /**
   * Ends the worker. Open wishes are refused with `error`.
   * @param {SwarmreelError} error
   */
  end(error) {
    this.#end = error;
    this.#worker.terminate();
    for (const { reject } of this.#calls.values()) reject(error);
    this.#calls.clear();
  }

  /** @param {Partial<ToPage>} message */
  #dispatch = (message) => {
    if (message.reply) return this.#take(message.reply.call)?.accept(message.reply);
    if (message.refused) {
      const { call, code, message: sentence } = message.refused;
      return this.#take(call)?.reject(new SwarmreelError(code, sentence));
    }
    if (message.hashing) return this.#calls.get(message.hashing.call)?.onHashing?.(message.hashing.fraction);
    if (message.started) return this.#onStarted(message.started);
    if (message.crashed) return this.#crash(message.crashed.message);
    const [[kind, body]] = Object.entries(message);
    /** @type {(body: unknown) => void} */ (this.#handlers[/** @type {keyof Handlers} */ (kind)])(body);
  };

  /** @param {number} call */
  #take(call) {
    const found = this.#calls.get(call);
    this.#calls.delete(call);
    return found;
  }

  /** @param {string} message */
  #crash(message) {
    if (this.#end) return;
    console.error("Swarmreel's engine has stopped:", message);
    this.end(new SwarmreelError("engine-crashed", "The engine has stopped because of a fault. Reload the page to go on."));
    this.#onStartFailed(new SwarmreelError("engine-failed", "This browser could not start the engine."));
    this.#handlers.crashed({ message });
  }
}
