// Where the worker's time goes: Chromium's sampling profiler in the seeder's and the downloader's worker while a file
// goes over. Prints self time by function, in milliseconds per GB of content: by the clock, so that waiting inside a call
// (a synchronous read) and a busy machine count. `cargo xtask profile` builds what it needs: a site whose WebAssembly
// functions have their names.
import { createServer } from "node:http";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";
import { extname, join, normalize } from "node:path";
import { parseArgs } from "node:util";
import { randomMegabytes } from "./lib/media.mjs";
import * as api from "./lib/api.mjs";
import { TARGET } from "./lib/paths.mjs";
import { Stage } from "./lib/stage.mjs";

/** @typedef {import("./lib/people.mjs").Person} Person */
/** @typedef {{ callFrame: { functionName: string, url: string, lineNumber: number }, id: number }} Node of a CDP profile */
/** @typedef {{ nodes: Node[], samples: number[], timeDeltas: number[] }} Profile */

const HELP = `usage: node profile.mjs [--megabytes N] [--top N]
  --megabytes N   the size of the file (default 100)
  --top N         functions to print (default 25)`;

const SITE = process.env.SWARMREEL_SITE ?? join(TARGET, "named-site");
/** What the profiler calls time in which the worker does nothing. */
const IDLE = "(idle)";

/** @type {Record<string, string>} */
const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html; charset=utf-8" };

/** Serves the site with names, and an empty page. @param {Stage} stage @returns {Promise<string>} its address */
async function serve(stage) {
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname);
    const body = path === "/health" ? "" : await readFile(join(SITE, path)).catch(() => undefined);
    const type = TYPES[extname(path)] ?? "text/html; charset=utf-8";
    response.writeHead(body === undefined ? 404 : 200, { "content-type": type }).end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  stage.closes(() => (server.closeAllConnections(), server.close()));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return `http://localhost:${port}/`;
}

/** @param {Person} person @returns {Promise<() => Promise<Profile>>} ends the profile, and gives it */
async function profiles({ page }) {
  const [worker] = page.workers();
  if (!worker) throw new Error("The page has no worker.");
  const { client } = worker;
  await client.send("Profiler.enable");
  await client.send("Profiler.setSamplingInterval", { interval: 200 });
  await client.send("Profiler.start");
  return async () => /** @type {any} */ ((await client.send("Profiler.stop")).profile);
}

/** @param {Profile} profile @returns {[string, number][]} self time in ms by function, the largest first */
function selfTimes({ nodes, samples, timeDeltas }) {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  /** @type {Map<string, number>} */
  const times = new Map();
  for (const [index, id] of samples.entries()) {
    const name = names.get(id) ?? "?";
    times.set(name, (times.get(name) ?? 0) + timeDeltas[index] / 1000);
  }
  return [...times].sort(([, a], [, b]) => b - a);
}

/** wasm-bindgen's glue, by line: what can fail is wrapped there in a function without a name. */
const GLUE = (await readFile(join(SITE, "swarmreel_web.js"), "utf8")).split("\n");

/** @param {Node["callFrame"]} frame a Rust name's hash is left out */
function nameOf({ functionName, url, lineNumber }) {
  if (!url.startsWith("http")) return functionName;
  const file = new URL(url).pathname.slice(1);
  const wrapped = file === "swarmreel_web.js" ? /__wbg_\w+/.exec(GLUE[lineNumber] ?? "")?.[0] : undefined;
  const name = functionName || wrapped || "(anonymous)";
  return `${name.replace(/(::h|_)[0-9a-f]{16}$/, "")}  [${file}]`;
}

/** @param {string} who @param {Profile} profile @param {number} gigabytes @param {number} top */
function print(who, profile, gigabytes, top) {
  const times = selfTimes(profile).filter(([name]) => name !== IDLE);
  const total = times.reduce((sum, [, ms]) => sum + ms, 0);
  const line = (/** @type {string} */ name, /** @type {number} */ ms) =>
    `${Math.round(ms / gigabytes).toString().padStart(8)} ms/GB ${((100 * ms) / total).toFixed(1).padStart(5)} %  ${name}`;
  console.log([`\n${who}`, line("in all", total), ...times.slice(0, top).map(([name, ms]) => line(name, ms))].join("\n"));
}

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "100" },
    top: { type: "string", default: "25" },
    help: { type: "boolean", default: false },
  },
});

async function main() {
  const stage = new Stage();
  try {
    const file = await randomMegabytes(Number(values.megabytes));
    const [site, { tracker }] = [await serve(stage), await stage.swarmreel()];
    const seeder = await stage.person("chromium", { name: "seeder" });
    const viewer = await stage.person("chromium", { name: "viewer" });
    const options = { trackers: [tracker], iceServers: [] };
    await Promise.all([seeder, viewer].map((person) => api.opens(person, site, options)));
    const { magnet } = await api.seeds(seeder, file.path);
    const ends = await Promise.all([seeder, viewer].map(profiles));
    await api.adds(viewer, magnet);
    await api.finishes(viewer);
    const [sent, received] = await Promise.all(ends.map((end) => end()));
    console.log(`${values.megabytes} MB on ${cpus().length} cores, load ${loadavg()[0].toFixed(1)}`);
    print("the downloader's worker", received, file.length / 1e9, Number(values.top));
    print("the seeder's worker", sent, file.length / 1e9, Number(values.top));
  } finally {
    await stage.close();
  }
}

if (values.help) console.log(HELP);
else await main();
