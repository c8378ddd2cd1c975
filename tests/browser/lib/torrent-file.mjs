// `.torrent` files made here from BEP 3 alone. Invariant: nothing of the code under test is used, so that its info hash
// can be held against this one.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";

/**
 * A torrent of one file, or of several.
 * @param {string} name
 * @param {number} pieceLength bytes
 * @param {string[]} paths one that bears the torrent's name makes a single-file torrent
 * @param {{ padded?: boolean, webSeeds?: string[], tracker?: string }} [options] `padded`: each file starts with a piece
 *   (BEP 47)
 * @returns {Promise<{ bytes: Buffer, infoHash: string }>}
 */
export async function makeTorrent(name, pieceLength, paths, { padded = false, webSeeds = [], tracker } = {}) {
  const parts = [];
  const files = [];
  for (const path of paths) {
    const bytes = await readFile(path);
    parts.push(bytes);
    files.push({ length: bytes.length, path: [basename(path)] });
    const padding = padded ? -bytes.length & (pieceLength - 1) : 0;
    if (padding === 0) continue;
    parts.push(Buffer.alloc(padding));
    files.push({ attr: "p", length: padding, path: [".pad", String(padding)] });
  }
  const isOneFile = paths.length === 1 && basename(paths[0]) === name;
  const layout = isOneFile ? { length: files[0].length } : { files };
  const info = { ...layout, name, "piece length": pieceLength, pieces: digests(Buffer.concat(parts), pieceLength) };
  const announce = tracker ? { announce: tracker } : {};
  const urls = webSeeds.length > 0 ? { "url-list": webSeeds } : {};
  return { bytes: bencode({ ...announce, info, ...urls }), infoHash: sha1(bencode(info)).toString("hex") };
}

/** @param {Buffer} content @param {number} pieceLength */
function digests(content, pieceLength) {
  const pieces = [];
  for (let at = 0; at < content.length; at += pieceLength) pieces.push(sha1(content.subarray(at, at + pieceLength)));
  return Buffer.concat(pieces);
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
