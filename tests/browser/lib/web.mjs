// A web server with files, on an origin of its own: what a web seed is, and all that may be wrong with one. Invariant: it
// writes down every request, so that a test can tell what a browser asked for.
import { once } from "node:events";
import { open, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";

/**
 * @typedef {object} Habits
 * @property {"simple" | "preflight" | "none"} [cors] simple (the default): pages may read answers, and no preflight is
 *   answered; preflight: any header may be sent; none: pages may not read
 * @property {boolean} [ranges] `false`: it sends the whole file, whatever was asked for
 * @property {boolean} [lies] it sends wrong bytes
 * @property {number} [status] it answers everything with this
 * @property {number} [bytesPerSecond]
 * @property {string} [redirect] it sends everyone to the same path below this address
 */

/**
 * @typedef {object} Request
 * @property {string} method
 * @property {string} path as it came, percent-encoded
 * @property {string | undefined} range
 */

const CHUNK = 64 * 1024;

/**
 * @param {Record<string, string | Buffer>} files by path, not encoded: where the bytes lie, or the bytes
 * @param {Habits} [habits]
 * @returns {Promise<{ url: string, requests: Request[], habits: Habits, sent: () => number, close(): void }>} `url` ends with a slash
 */
export async function startWeb(files, habits = {}) {
  /** @type {Request[]} */
  const requests = [];
  let sent = 0;
  const server = createServer(async (request, response) => {
    const { method = "", url = "", headers } = request;
    requests.push({ method, path: url, range: headers.range });
    const file = files[decodeURIComponent(url.slice(1).split("?")[0])];
    const cors = corsHeaders(habits);
    if (method === "OPTIONS") return void response.writeHead(habits.cors === "preflight" ? 204 : 403, cors).end();
    if (habits.redirect) return void response.writeHead(302, { ...cors, location: habits.redirect + url.slice(1) }).end();
    if (habits.status || !file) return void response.writeHead(habits.status ?? 404, cors).end("no");
    const total = Buffer.isBuffer(file) ? file.length : (await stat(file)).size;
    const [start, end] = habits.ranges === false ? [0, total] : rangeOf(headers.range, total);
    const whole = habits.ranges === false || !headers.range;
    const contentRange = whole ? {} : { "content-range": `bytes ${start}-${end - 1}/${total}` };
    response.writeHead(whole ? 200 : 206, { ...cors, ...contentRange, "content-length": end - start });
    const body = chunks(file, start, end, habits, (count) => (sent += count));
    await pipeline(body, response).catch(() => {}); // The browser has had enough.
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${port}/`, requests, habits, sent: () => sent, close };
}

/** @param {Habits} habits @returns {Record<string, string>} */
function corsHeaders({ cors = "simple" }) {
  if (cors === "none") return {};
  const simple = { "access-control-allow-origin": "*" };
  return cors === "simple" ? simple : { ...simple, "access-control-allow-headers": "*, range" };
}

/** @param {string | undefined} header @param {number} total @returns {[number, number]} */
function rangeOf(header, total) {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(header ?? "bytes=0-") ?? [];
  return [Number(first), last ? Math.min(Number(last) + 1, total) : total];
}

/**
 * The bytes to send, chunk by chunk, no faster than the habits allow.
 * @param {string | Buffer} file
 * @param {number} start
 * @param {number} end
 * @param {Habits} habits
 * @param {(count: number) => void} count
 */
async function* chunks(file, start, end, { lies, bytesPerSecond }, count) {
  const handle = Buffer.isBuffer(file) ? null : await open(file);
  try {
    for (let at = start; at < end; ) {
      const length = Math.min(CHUNK, end - at);
      const chunk = Buffer.isBuffer(file) ? Buffer.from(file.subarray(at, at + length)) : Buffer.alloc(length);
      await handle?.read(chunk, 0, length, at);
      if (lies) chunk[0] ^= 0xff;
      at += length;
      count(length);
      yield chunk;
      if (bytesPerSecond) await pause((length / bytesPerSecond) * 1000);
    }
  } finally {
    await handle?.close();
  }
}
