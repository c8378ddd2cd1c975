// Media types by file name.
//
// Only types that a browser never runs as a document of this origin (threat-model B1): what is not in the table is
// plain bytes.

const TYPES = new Map([
  ["mp4", "video/mp4"],
  ["m4v", "video/mp4"],
  ["mov", "video/quicktime"],
  ["webm", "video/webm"],
  ["mkv", "video/x-matroska"],
  ["ogv", "video/ogg"],
  ["avi", "video/x-msvideo"],
  ["m4a", "audio/mp4"],
  ["m4b", "audio/mp4"],
  ["weba", "audio/webm"],
  ["mp3", "audio/mpeg"],
  ["aac", "audio/aac"],
  ["ogg", "audio/ogg"],
  ["oga", "audio/ogg"],
  ["opus", "audio/ogg"],
  ["flac", "audio/flac"],
  ["wav", "audio/wav"],
  ["png", "image/png"],
  ["jpg", "image/jpeg"],
  ["jpeg", "image/jpeg"],
  ["webp", "image/webp"],
  ["avif", "image/avif"],
  ["vtt", "text/vtt"],
]);

/**
 * @param {string} name a file name
 * @returns {string} its media type
 */
export function typeOf(name) {
  const extension = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  return TYPES.get(extension) ?? "application/octet-stream";
}
