// A TURN server (coturn, RFC 8656) with one user. Invariant: it listens and relays on loopback only, and ends with the
// test.
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atExit } from "./cleanup.mjs";

const ADDRESS = "127.0.0.1";
const STARTUP_MS = 15_000;
/** How often a server that starts is asked whether it is there, ms. */
const KNOCK_MS = 100;
/** A STUN binding request (RFC 8489 §5): type, length, magic cookie, transaction. */
const BINDING_REQUEST = Buffer.from("000100002112a442737761726d7265656c303031", "hex");

/** @returns {Promise<{ iceServers: RTCIceServer[], close(): Promise<void> }>} `iceServers`: what its one user is told */
export async function startTurn() {
  const home = await mkdtemp(join(tmpdir(), "swarmreel-turn-"));
  const port = await freePort();
  const [username, credential] = ["tester", "secret"];
  const child = spawn("turnserver", flags(home, port, `${username}:${credential}`), { stdio: "ignore", cwd: home });
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
  return { iceServers: [{ urls: `turn:${ADDRESS}:${port}?transport=udp`, username, credential }], close };
}

/** @param {string} home a folder for its files @param {number} port @param {string} user `name:password` */
function flags(home, port, user) {
  const settings = {
    "listening-ip": ADDRESS,
    "listening-port": port,
    "relay-ip": ADDRESS,
    user,
    realm: "swarmreel.test",
    userdb: join(home, "users"),
    pidfile: join(home, "pid"),
    "log-file": join(home, "log"),
  };
  const switches = ["n", "-lt-cred-mech", "-allow-loopback-peers", "-no-tls", "-no-dtls", "-no-cli", "-simple-log"];
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
