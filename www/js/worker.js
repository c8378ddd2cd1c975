// The worker's entry: loads the engine, and hands it the page's messages in the order they came.
//
// Nothing awaits between a message and the engine once it is loaded. A panic leaves the engine unusable, so it ends
// as an `error` event or, from inside a promise, as `crashed`: the page then ends the worker.

/** @typedef {import("./protocol.js").FromPage} FromPage */
/** @typedef {Partial<FromPage>} Message */

/**
 * @typedef {object} Scope what is used of `DedicatedWorkerGlobalScope`, which the page's types know nothing of
 * @property {(message: unknown) => void} postMessage
 * @property {(type: string, listener: (event: MessageEvent & PromiseRejectionEvent) => void) => void} addEventListener
 */
const scope = /** @type {Scope} */ (/** @type {unknown} */ (globalThis));

/** @type {typeof import("./swarmreel_web.js") | undefined} */
let engine;

// Both files are fetched at once.
const binary = fetch(new URL("./swarmreel_web_bg.wasm", import.meta.url));
const loaded = import("./swarmreel_web.js").then(async (glue) => {
  await glue.default({ module_or_path: binary });
  engine = glue;
});

scope.addEventListener("message", ({ data }) => {
  if (engine) heed(engine, data);
  else loaded.then(() => engine && heed(engine, data));
});

scope.addEventListener("unhandledrejection", (event) => {
  const { reason } = event;
  event.preventDefault();
  scope.postMessage([{ crashed: { message: String(reason) } }]);
});

/**
 * @param {typeof import("./swarmreel_web.js")} engine
 * @param {Message} message
 */
function heed(engine, message) {
  if (!message.start) return engine.receive(message);
  const { trackers, persistent, relayOnly } = message.start;
  const seed = crypto.getRandomValues(new Uint8Array(32));
  const bufferLow = engine.start(seed, trackers, persistent, relayOnly);
  scope.postMessage([{ started: { bufferLow } }]);
}
