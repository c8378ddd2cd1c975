// What a person dropped or chose: a video to share, a torrent to open, a link, or nothing of use.
// Invariant: pure; looks at names, types and sizes only. What is in a file is for the engine to find out.

/** Extensions of media for which some systems know no type. */
const MEDIA_NAME = /\.(mp4|m4v|mov|webm|mkv|avi|m4a|m4b|aac|mp3|ogg|oga|opus|flac|wav)$/i;

/** @typedef {{ name: string, type: string, size: number }} FileLike */

/**
 * @template {FileLike} F
 * @param {readonly F[]} files
 * @returns {{ kind: "torrent", files: F[] } | { kind: "share", files: F[] } | { kind: "refused", code: string }}
 */
export function intentOf(files) {
  const torrents = files.filter(isTorrent);
  if (torrents.length > 0) return { kind: "torrent", files: torrents };
  if (!files.some(isMedia)) return { kind: "refused", code: "not-media" };
  const shared = files.filter((file) => file.size > 0);
  return shared.some(isMedia) ? { kind: "share", files: shared } : { kind: "refused", code: "empty-file" };
}

/** @param {{ name: string, type: string }} file */
export function isMedia({ name, type }) {
  return /^(video|audio)\//.test(type) || MEDIA_NAME.test(name);
}

/** @param {{ name: string, type: string }} file */
function isTorrent({ name, type }) {
  return type === "application/x-bittorrent" || /\.torrent$/i.test(name);
}

/**
 * The file to play first: the largest that looks like video or audio; -1 if none does.
 * @param {readonly { name: string, type: string, length: number }[]} files
 */
export function mainFile(files) {
  let best = -1;
  files.forEach((file, index) => {
    if (isMedia(file) && (best < 0 || file.length > files[best].length)) best = index;
  });
  return best;
}
