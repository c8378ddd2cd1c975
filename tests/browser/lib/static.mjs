// Serves the tests' own pages and the webtorrent package to browsers. Invariant: nothing outside the named files is
// served.
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { HERE } from "./paths.mjs";

const { resolve } = createRequire(import.meta.url);
/** The version of today, and the one that instant.io and WebTorrent Desktop run. */
const [webtorrent, webtorrent1] = [join(dirname(resolve("webtorrent")), "dist"), dirname(resolve("webtorrent-1"))];

/** @type {Record<string, string>} */
const FILES = {
  "/webtorrent.html": join(HERE, "pages/webtorrent.html"),
  "/webtorrent-1.html": join(HERE, "pages/webtorrent-1.html"),
  "/webtorrent-page.js": join(HERE, "pages/webtorrent-page.js"),
  "/channel.html": join(HERE, "pages/channel.html"),
  "/channel-page.js": join(HERE, "pages/channel-page.js"),
  "/webtorrent.min.js": join(webtorrent, "webtorrent.min.js"),
  "/webtorrent-1.min.js": join(webtorrent1, "webtorrent.min.js"),
  "/sw.min.js": join(webtorrent, "sw.min.js"),
};

/** @type {Record<string, string>} */
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8" };

/** @returns {Promise<{ url: string, close(): Promise<void> }>} `url` ends with a slash */
export async function startPages() {
  const server = createServer((request, response) => {
    const file = FILES[new URL(request.url ?? "/", "http://localhost").pathname];
    if (!file) {
      response.writeHead(request.url === "/favicon.ico" ? 204 : 404).end();
      return;
    }
    response.writeHead(200, { "content-type": TYPES[extname(file)] });
    createReadStream(file).pipe(response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return {
    url: `http://localhost:${port}/`,
    async close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
