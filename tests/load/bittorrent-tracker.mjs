// bittorrent-tracker's WebSocket server on loopback, for `cargo xtask bench signaling`:
// node bittorrent-tracker.mjs PORT [CERTIFICATE.pem KEY.pem]
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const packages = new URL("../browser/node_modules/", import.meta.url);
const { default: Server } = await import(new URL("bittorrent-tracker/server.js", packages).href);
const [port, certificate, key] = process.argv.slice(2);

const server = new Server({ http: false, udp: false, ws: certificate ? { noServer: true } : true, stats: !certificate });
server.on("error", (/** @type {Error} */ error) => console.error(error.message));
server.on("warning", () => {});
if (certificate) {
  // It has no TLS of its own: the usual way is to hand it the upgrades of an HTTPS server.
  const https = createServer({ cert: readFileSync(certificate), key: readFileSync(key) });
  https.on("upgrade", (request, socket, head) =>
    server.ws.handleUpgrade(request, socket, head, (/** @type {unknown} */ opened) =>
      server.ws.emit("connection", opened, request),
    ),
  );
  https.listen(Number(port), "127.0.0.1");
} else {
  server.listen(Number(port), "127.0.0.1");
}
