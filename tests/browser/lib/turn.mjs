// A TURN server (coturn, RFC 8656) that shares a secret with whoever makes its users' names. Invariant: it listens and
// relays on loopback only, and ends with the test.
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atExit } from "./cleanup.mjs";

const ADDRESS = "127.0.0.1";
const STARTUP_MS = 15_000;
/** How often a server that starts is asked whether it is there, ms. */
const KNOCK_MS = 100;
/** A STUN binding request (RFC 8489 §5): type, length, magic cookie, transaction. */
const BINDING_REQUEST = Buffer.from("000100002112a442737761726d7265656c303031", "hex");

const SECRET = "swarmreel's test";

/**
 * @typedef {object} Turn
 * @property {string} url
 * @property {string} secretFile a file with what it shares
 * @property {(lifetime: number) => RTCIceServer} user one whose name ends in so many seconds
 * @property {() => Promise<void>} close
 */

/** @returns {Promise<Turn>} */
export async function startTurn() {
  const home = await mkdtemp(join(tmpdir(), "swarmreel-turn-"));
  const [port, secretFile] = [await freePort(), join(home, "secret")];
  await writeFile(secretFile, `${SECRET}\n`, { mode: 0o600 });
  const child = spawn("turnserver", flags(home, port), { stdio: "ignore", cwd: home });
  const takeBack = atExit(() => child.kill("SIGKILL"));
  const exited = once(child, "exit").catch(() => {});
  const close = async () => {
    child.kill("SIGKILL"); // On a polite signal it lingers for its clients.
    await exited;
    takeBack();
    await rm(home, { recursive: true, force: true });
  };
  const failed = exited.then(() => Promise.reject(new Error("turnserver ended at once: is coturn installed?")));
  try {
    await Promise.race([answers(port), failed]);
  } catch (error) {
    await close();
    throw error;
  }
  failed.catch(() => {}); // From here on its end is ours.
  const url = `turn:${ADDRESS}:${port}?transport=udp`;
  return { url, secretFile, user: (lifetime) => ({ urls: url, ...credentials(lifetime) }), close };
}

/** As draft-uberti-behave-turn-rest-00 has it. @param {number} lifetime s */
function credentials(lifetime) {
  const username = `${Math.floor(Date.now() / 1000) + lifetime}:tester`;
  return { username, credential: createHmac("sha1", SECRET).update(username).digest("base64") };
}

/** @param {string} home a folder for its files @param {number} port */
function flags(home, port) {
  const settings = {
    "listening-ip": ADDRESS,
    "listening-port": port,
    "relay-ip": ADDRESS,
    "static-auth-secret": SECRET,
    realm: "swarmreel.test",
    userdb: join(home, "users"),
    pidfile: join(home, "pid"),
    "log-file": join(home, "log"),
  };
  const switches = ["n", "-use-auth-secret", "-allow-loopback-peers", "-no-tls", "-no-dtls", "-no-cli", "-simple-log"];
  return [...switches.map((name) => `-${name}`), ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`)];
}

async function freePort() {
  const socket = createSocket("udp4");
  socket.bind(0, ADDRESS);
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  return port;
}

/** Waits until the server answers. @param {number} port */
async function answers(port) {
  const socket = createSocket("udp4");
  const knock = setInterval(() => socket.send(BINDING_REQUEST, port, ADDRESS), KNOCK_MS);
  try {
    await once(socket, "message", { signal: AbortSignal.timeout(STARTUP_MS) });
  } finally {
    clearInterval(knock);
    socket.close();
  }
}
