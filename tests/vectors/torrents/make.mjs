// Makes the golden torrents beside this file, and what the JavaScript packages that the deployed clients are made of
// (create-torrent 6, parse-torrent 11) say of them. Run by hand, in a folder with both packages installed:
//   npm install --ignore-scripts create-torrent@6 parse-torrent@11
//   node path/to/tests/vectors/torrents/make.mjs
// Content is not kept: byte i of a file is (i * 31 + (i >> 8)) mod 256.
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const load = (name) => import(pathToFileURL(join(process.cwd(), "node_modules", name, "index.js")));
const { default: createTorrent } = await load("create-torrent");
const { default: parseTorrent, toMagnetURI } = await load("parse-torrent");

const content = (length) => Buffer.from(Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255));
const file = (path, length) => Object.assign(content(length), { name: path });
const save = (name, bytes, expected) => {
  writeFileSync(join(here, `${name}.torrent`), bytes);
  writeFileSync(join(here, `${name}.json`), JSON.stringify(expected, null, 2) + "\n");
};
const describe = (torrent) => ({
  infoHash: torrent.infoHash,
  name: torrent.name,
  length: torrent.length,
  pieceLength: torrent.pieceLength,
  lastPieceLength: torrent.lastPieceLength,
  pieces: torrent.pieces,
  private: Boolean(torrent.private),
  announce: torrent.announce,
  urlList: torrent.urlList,
  comment: torrent.comment ?? null,
  createdBy: torrent.createdBy ?? null,
  created: torrent.created ? torrent.created.getTime() / 1000 : null,
  files: torrent.files.map(({ path, length, offset }) => ({ path: path.replaceAll("\\", "/"), length, offset })),
  magnet: toMagnetURI(torrent),
});

// Made and read by the packages.
const made = {
  single: [[file("film.mp4", 100_000)], { announceList: [["wss://a.test/announce"], ["udp://b.test:80"]] }],
  folder: [
    [file("Földer & co/one.mp4", 30_000), file("Földer & co/sub dir/zwei.srt", 1), file("Földer & co/片.webm", 70_001)],
    {
      announceList: [["wss://a.test/announce"]],
      urlList: ["http://seed.test/files/"],
      comment: "ein Kommentar – 100 %",
      createdBy: "test/1",
      creationDate: new Date(1_700_000_000_000),
      private: true,
      pieceLength: 32768,
    },
  ],
};
for (const [name, [input, options]] of Object.entries(made)) {
  const defaults = { createdBy: "test/1", creationDate: new Date(1_700_000_000_000), announceList: [] };
  const bytes = await new Promise((resolve, reject) =>
    createTorrent(input, { ...defaults, ...options }, (error, torrent) => (error ? reject(error) : resolve(torrent))),
  );
  save(name, bytes, describe(await parseTorrent(bytes)));
}

// Written by hand: what those packages read differently, or not at all. The hash is that of the bytes as they are.
const text = (value) => Buffer.concat([Buffer.from(`${Buffer.byteLength(value)}:`), Buffer.from(value)]);
const raw = (...parts) => Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part)));
const digests = (count) => raw(`6:pieces${count * 20}:`, Buffer.alloc(20 * count, 7));
const list = (parts) => raw("l", ...parts.map(text), "e");
const entry = (length, path, more = "") => raw("d", more, `6:lengthi${length}e`, "4:path", list(path), "e");
const byHand = (name, info, expected) => {
  const infoHash = createHash("sha1").update(info).digest("hex");
  save(name, raw("d8:announce13:wss://a.test/4:info", info, "e"), { infoHash, ...expected });
};
byHand("unsorted", raw("d", digests(1), "12:piece lengthi16384e4:name1:a6:lengthi5e", "1:zi18446744073709551616e", "e"), {
  name: "a",
  files: [{ path: "a", length: 5, offset: 0 }],
});
byHand(
  "padded",
  raw("d5:filesl", entry(5, ["a.mp4"]), entry(16379, [".pad", "16379"], "4:attr1:p"), entry(7, ["b", "c.srt"]), entry(3, [".pad", "3"]),
    "e4:name3:pad12:piece lengthi16384e", digests(2), "e"),
  {
    name: "pad",
    files: [
      { path: "a.mp4", length: 5, offset: 0 },
      { path: ".pad/16379", length: 16379, offset: 5, padding: true },
      { path: "b/c.srt", length: 7, offset: 16384 },
      { path: ".pad/3", length: 3, offset: 16391, padding: true },
    ],
  },
);
byHand(
  "hostile-names",
  raw("d5:filesl", entry(1, ["..", "..", "etc", "passwd"]), entry(1, ["ETC", "PASSWD"]), entry(1, ["", "."]), entry(1, ["a/b\\c"]),
    entry(1, ["NUL.txt"]), entry(1, ["x\u202egpj.exe. "]), entry(1, ["d\0", "\u0007bell"]), "e4:name7:../evil12:piece lengthi16384e", digests(1), "e"),
  {
    name: ".._evil",
    files: [
      { path: "etc/passwd", length: 1, offset: 0 },
      { path: "ETC/PASSWD (2)", length: 1, offset: 1 },
      { path: "unnamed", length: 1, offset: 2 },
      { path: "a_b_c", length: 1, offset: 3 },
      { path: "_NUL.txt", length: 1, offset: 4 },
      { path: "xgpj.exe", length: 1, offset: 5 },
      { path: "d/bell", length: 1, offset: 6 },
    ],
  },
);
byHand("utf8-keys", raw("d6:lengthi5e4:name3:a__10:name.utf-8", text("ä.mp4"), "12:piece lengthi16384e", digests(1), "e"), {
  name: "ä.mp4",
  files: [{ path: "ä.mp4", length: 5, offset: 0 }],
});
byHand("hybrid", raw("d9:file treed1:ad0:d6:lengthi5e11:pieces root32:", Buffer.alloc(32, 9), "eee6:lengthi5e12:meta versioni2e4:name1:a12:piece lengthi16384e", digests(1), "e"), {
  name: "a",
  files: [{ path: "a", length: 5, offset: 0 }],
});
byHand("v2-only", raw("d9:file treed1:ad0:d6:lengthi5e11:pieces root32:", Buffer.alloc(32, 9), "eee12:meta versioni2e4:name1:a12:piece lengthi16384ee"), {
  error: "This is a BitTorrent v2 torrent, which can't be opened here; a v1 or hybrid one can.",
});
