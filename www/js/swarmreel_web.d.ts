// What the worker uses of the glue that wasm-bindgen generates from src/lib.rs.

/** Compiles and instantiates the engine. */
export default function init(input: { module_or_path: Promise<Response> }): Promise<unknown>;

/** Starts the engine; the bytes of `bufferedAmount` at and below which a link wants to be told. */
export function start(seed: Uint8Array, trackers: string[], persistent: boolean, relayOnly: boolean): number;

/** Takes one message of the page. */
export function receive(message: unknown): void;
