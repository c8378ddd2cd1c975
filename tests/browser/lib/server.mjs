// The two trackers the tests meet at: ours, and the npm package's. Invariant: each listens on a port of its own on
// loopback.
import { spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { once } from "node:events";
// The server alone: the package as a whole loads a native WebRTC, which is not built here.
// @ts-expect-error the package has no types
import Server from "bittorrent-tracker/server";
import { TARGET } from "./paths.mjs";
import { atExit } from "./cleanup.mjs";

const STARTUP_MS = 15_000;

/** @returns {string} the built server: `SWARMREEL_BIN`, or the newest build in the target folder */
function binary() {
  if (process.env.SWARMREEL_BIN) return process.env.SWARMREEL_BIN;
  const built = ["release", "debug"]
    .map((profile) => join(TARGET, profile, "swarmreel-signaling"))
    .filter((path) => existsSync(path))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  if (built.length === 0)
    throw new Error("The server is not built: run `cargo xtask test`, or name it in SWARMREEL_BIN.");
  return built[0];
}

/** @typedef {import("node:stream").Readable} Readable */

/** A running `swarmreel-signaling`. */
export class SwarmreelServer {
  /** @type {() => Promise<void>} */
  #stop;

  /** @param {number} port @param {() => Promise<void>} stop */
  constructor(port, stop) {
    this.port = port;
    this.#stop = stop;
  }

  /** The site, e.g. `http://localhost:40001/`. */
  get site() {
    return `http://localhost:${this.port}/`;
  }

  /** The tracker, e.g. `ws://localhost:40001/`. */
  get tracker() {
    return `ws://localhost:${this.port}/`;
  }

  close() {
    return this.#stop();
  }
}

/**
 * Starts our server and waits until it says where it is.
 * @param {{ args?: string[], inside?: string[] }} [options] more flags for it; what runs a command where it is to run
 * @returns {Promise<SwarmreelServer>}
 */
export async function startSwarmreel({ args = [], inside = [] } = {}) {
  const [program, ...words] = [...inside, binary(), "--listen", "127.0.0.1:0", ...args];
  const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"] });
  const takeBack = atExit(() => child.kill("SIGKILL"));
  const exited = once(child, "exit").catch(() => {});
  const stop = async () => {
    child.kill("SIGTERM");
    const kill = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await exited;
    clearTimeout(kill);
    takeBack();
  };
  try {
    return new SwarmreelServer(await announcedPort(child), stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

/** @param {import("node:child_process").ChildProcessByStdio<null, Readable, Readable>} child @returns {Promise<number>} */
function announcedPort(child) {
  return new Promise((resolve, reject) => {
    let said = "";
    const hear = (/** @type {Buffer} */ text) => {
      said += text;
      const match = /Swarmreel is at http:\/\/[^:]+:(\d+)\//.exec(said);
      if (match) resolve(Number(match[1]));
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`swarmreel-signaling ended with ${code}: ${said}`)));
    const late = () => reject(new Error(`swarmreel-signaling is not up after ${STARTUP_MS} ms: ${said}`));
    setTimeout(late, STARTUP_MS).unref();
  });
}

/**
 * Starts the WebSocket tracker of the `bittorrent-tracker` package.
 * @returns {Promise<{ tracker: string, heard: string[], arrivals: number[], restart(seconds: number): void,
 *   close(): Promise<void> }>} `heard`: every message of its clients; `arrivals`: when they connected; `restart` sends
 *   all away for so long, as a server does that restarts
 */
export async function startTracker() {
  const server = new Server({ http: false, udp: false, ws: true, stats: false });
  server.on("warning", () => {}); // It warns of every client that closes a tab.
  server.on("error", (/** @type {Error} */ error) => console.error(`bittorrent-tracker: ${error.message}`));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  /** @type {string[]} */
  const heard = [];
  /** @type {number[]} */
  const arrivals = [];
  /** The package keeps no list of them. @type {Set<any>} */
  const sockets = new Set();
  server.ws.on("connection", (/** @type {import("node:events").EventEmitter} */ socket) => {
    arrivals.push(performance.now());
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("message", (data) => heard.push(String(data)));
  });
  const { port } = server.ws.address();
  const restart = (/** @type {number} */ seconds) => {
    for (const socket of sockets) socket.close(1012, `retry in ${seconds} s`);
  };
  const close = async () => {
    for (const socket of sockets) socket.terminate();
    await new Promise((resolve) => server.close(resolve));
  };
  return { tracker: `ws://localhost:${port}/`, heard, arrivals, restart, close };
}
