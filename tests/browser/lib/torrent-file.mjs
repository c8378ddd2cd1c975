// `.torrent` files made here from BEP 3 alone. Invariant: nothing of the code under test is used, so that its info hash
// can be held against this one.
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";

/**
 * A torrent of one file, or of several.
 * @param {string} name
 * @param {number} pieceLength bytes
 * @param {string[]} paths one that bears the torrent's name makes a single-file torrent
 * @param {string} [tracker]
 * @returns {Promise<{ bytes: Buffer, infoHash: string }>}
 */
export async function makeTorrent(name, pieceLength, paths, tracker) {
  const content = Buffer.concat(await Promise.all(paths.map((path) => readFile(path))));
  const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size));
  const pieces = [];
  for (let at = 0; at < content.length; at += pieceLength) pieces.push(sha1(content.subarray(at, at + pieceLength)));
  const isOneFile = paths.length === 1 && basename(paths[0]) === name;
  const files = paths.map((path, index) => ({ length: sizes[index], path: [basename(path)] }));
  const info = {
    ...(isOneFile ? { length: sizes[0] } : { files }),
    name,
    "piece length": pieceLength,
    pieces: Buffer.concat(pieces),
  };
  return { bytes: bencode({ ...(tracker ? { announce: tracker } : {}), info }), infoHash: sha1(bencode(info)).toString("hex") };
}

/** @param {Buffer} bytes */
function sha1(bytes) {
  return createHash("sha1").update(bytes).digest();
}

/** @param {any} value numbers, strings, bytes, lists, and dictionaries whose keys are in order @returns {Buffer} */
function bencode(value) {
  if (typeof value === "number") return Buffer.from(`i${value}e`);
  if (typeof value === "string") return bencode(Buffer.from(value));
  if (Buffer.isBuffer(value)) return Buffer.concat([Buffer.from(`${value.length}:`), value]);
  const [mark, members] = Array.isArray(value) ? ["l", value] : ["d", Object.entries(value).flat()];
  return Buffer.concat([Buffer.from(mark), ...members.map(bencode), Buffer.from("e")]);
}
