// aquatic_ws 0.9, the tracker behind tracker.webtorrent.dev: strict JSON, frames of 16 KiB, one connection per peer id.
// `cargo xtask test` builds it once, from its crate (Linux only: it runs on io_uring).
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { atExit } from "./cleanup.mjs";
import { TARGET } from "./paths.mjs";

const BINARY = join(TARGET, "tools/bin/aquatic_ws");
const STARTUP_MS = 15_000;

/** @returns {string | undefined} why there is none, for a person */
export function missingAquatic() {
  return existsSync(BINARY) ? undefined : "aquatic_ws is not built: `cargo xtask test` does it where it can be (Linux)";
}

/** @returns {Promise<{ tracker: string, close(): Promise<void> }>} on a free port of loopback */
export async function startAquatic() {
  const [port, folder] = [await freePort(), await mkdtemp(join(tmpdir(), "swarmreel-aquatic-"))];
  const settings = join(folder, "config.toml");
  await writeFile(settings, `[network]\naddress = "127.0.0.1:${port}"\nenable_http_health_checks = true\n`);
  const child = spawn(BINARY, ["--config-file", settings], { stdio: ["ignore", "inherit", "inherit"] });
  const takeBack = atExit(() => child.kill("SIGKILL"));
  const exited = once(child, "exit").catch(() => {});
  const close = async () => {
    child.kill("SIGKILL"); // It keeps nothing, and takes its time over a gentler signal.
    await exited;
    takeBack();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await isUp(port, exited);
  } catch (error) {
    await close();
    throw error;
  }
  return { tracker: `ws://127.0.0.1:${port}/`, close };
}

/** The port of a server that has just closed: aquatic takes no port 0. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  server.close();
  await once(server, "close");
  return port;
}

/** @param {number} port @param {Promise<unknown>} exited */
async function isUp(port, exited) {
  const started = performance.now();
  const ended = exited.then(() => true);
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
    if (answer?.ok) return;
    const pause = new Promise((resolve) => setTimeout(resolve, 50, false));
    if (await Promise.race([ended, pause])) throw new Error("aquatic_ws ended before it was up.");
    if (performance.now() - started > STARTUP_MS) throw new Error(`aquatic_ws is not up after ${STARTUP_MS} ms.`);
  }
}
