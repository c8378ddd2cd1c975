// The page of a person who uses webtorrent.js. It does what webtorrent's own documentation shows, and nothing clever:
// `window.wt` is driven by `lib/wt.mjs`. The page of 1.9.7 loads that as a global; 3.0.21 is a module.
const WebTorrent = window.WebTorrent ?? (await import("./webtorrent.min.js")).default;

// No public STUN server is asked: everyone is on this machine, and this is also webtorrent at its quickest.
const client = new WebTorrent({ tracker: { rtcConfig: { iceServers: [] } } });
client.on("error", (error) => console.error(`webtorrent: ${error.message ?? error}`));

/** Starts seeding the chosen files. Resolves to the magnet link. */
function seed(options) {
  const { files } = document.querySelector("#file");
  return new Promise((resolve) => client.seed(files, options, (torrent) => resolve(torrent.magnetURI)));
}

/** What a download has come to, with times of `performance.now()`. */
const progress = { addedAt: 0, connectedAt: 0, doneAt: 0, downloaded: 0, fraction: 0 };
let finish;
const finished = new Promise((resolve) => (finish = resolve));

/** Starts downloading from a magnet link or a `.torrent` file's bytes; `play` shows the first file meanwhile. */
async function add(source, trackers, play) {
  progress.addedAt = performance.now();
  const torrent = client.add(typeof source === "string" ? source : new Blob([Uint8Array.from(source)]), {
    announce: trackers,
  });
  torrent.on("wire", () => (progress.connectedAt ||= performance.now()));
  torrent.on("download", () => {
    progress.downloaded = torrent.downloaded;
    progress.fraction = torrent.progress;
  });
  torrent.on("done", () => {
    progress.doneAt = performance.now();
    progress.fraction = 1;
    finish();
  });
  if (play) torrent.on("ready", () => torrent.files[0].streamTo(document.querySelector("#video")));
}

/** Makes `streamTo` possible: webtorrent plays through a service worker. */
async function prepareToPlay() {
  await navigator.serviceWorker.register("./sw.min.js", { scope: "./" });
  const registration = await navigator.serviceWorker.ready;
  if (!navigator.serviceWorker.controller) {
    await new Promise((resolve) =>
      navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true }),
    );
  }
  client.createServer({ controller: registration });
}

/** A file's content; 1.9.7 calls back. */
function contents(file) {
  if (file.blob) return file.blob();
  return new Promise((resolve, reject) => file.getBlob((error, blob) => (error ? reject(error) : resolve(blob))));
}

/** SHA-256 of a downloaded file, hex. */
async function digest(index) {
  const blob = await contents(client.torrents[0].files[index]);
  const hash = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Makes this person a liar: one byte of every block is changed on its way out. All else, the metadata too, is right. */
function corrupt() {
  client.on("torrent", (torrent) => torrent.on("wire", lieOn));
}

function lieOn(wire) {
  const { piece } = wire;
  wire.piece = (index, offset, block) => {
    const copy = Uint8Array.from(block);
    copy[copy.length - 1] ^= 0xff;
    wt.corrupted += 1;
    piece.call(wire, index, offset, copy);
  };
}

const wt = { client, seed, add, prepareToPlay, progress, finished, digest, corrupt, corrupted: 0 };
window.wt = wt;
