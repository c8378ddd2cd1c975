// What went wrong, said so that a person knows what to do next.
// Invariant: every error has a title, a sentence and a next step; a code that is not listed keeps its own sentence.

/**
 * @typedef {object} Problem
 * @property {string} code
 * @property {string} title
 * @property {string} sentence what happened
 * @property {string} next what to do now
 * @property {"save" | "reload" | null} action
 * @property {boolean} stuck the picture cannot go on
 */

/** @typedef {Partial<Pick<Problem, "title" | "sentence" | "next" | "action" | "stuck">>} Advice */

const LINK = {
  title: "That link doesn’t work",
  next: "Copy the whole link once more. It begins with “magnet:”, or is 40 letters and digits long.",
};
const CANNOT_PLAY = {
  title: "Your browser can’t play this file",
  next: "You can still save it, and open it in another player.",
  action: /** @type {const} */ ("save"),
  stuck: true,
};
const UNREADABLE = { title: "That file can’t be read", next: "If it was moved or changed, choose it once more." };
const TORRENT = { title: "This torrent is damaged", next: "Ask for a new link or file: this one can’t be mended." };

/** @type {Record<string, Advice>} */
const ADVICE = {
  "bad-magnet": LINK,
  "bad-link": LINK,
  "empty-link": {
    title: "There is no link yet",
    sentence: "The field is empty.",
    next: "Paste a magnet link or an info hash.",
  },
  "bad-torrent": TORRENT,
  "not-media": {
    title: "That is no video",
    sentence: "Only video and audio files can be shared here.",
    next: "Drop an MP4, WebM, M4A or MP3 file. A .torrent file opens what it names.",
  },
  "empty-file": {
    title: "That file is empty",
    sentence: "There is nothing in it to share.",
    next: "Choose another file.",
  },
  folder: {
    title: "That is a folder",
    sentence: "A folder can’t be shared as it is.",
    next: "Drop the files in it instead.",
  },
  "file-unreadable": UNREADABLE,
  "bad-seed": { title: "That can’t be shared", next: "Choose other files." },
  "unsupported-codec": CANNOT_PLAY,
  "unsupported-container": CANNOT_PLAY,
  "unsupported-browser": CANNOT_PLAY,
  "broken-media": { ...CANNOT_PLAY, title: "This file can’t be played" },
  "storage-full": {
    title: "Storage is full",
    next: "Free some space on this device, or remove a video you no longer need.",
  },
  "no-good-source": {
    title: "Nobody here has good data",
    next: "Keep the page open: it goes on when somebody comes who has the right file.",
  },
  "engine-crashed": {
    title: "Swarmreel has stopped",
    sentence: "A fault has stopped the engine.",
    next: "Reload the page to go on.",
    action: "reload",
  },
  "engine-failed": {
    title: "Swarmreel couldn’t start",
    next: "Reload the page, or try another browser.",
    action: "reload",
  },
  "too-many": { title: "Too many videos at once", next: "Remove one of those that are open here, then try again." },
};

/** Warnings that a person can do something about; the engine deals with the others by itself. */
const WORTH_SAYING = new Set(["storage-full", "bad-torrent", "no-good-source"]);

/**
 * @param {unknown} error an `Error` with a `code`, or an event's `{ code, message }`
 * @param {string} [fallback] the code of an error that brings none
 * @returns {Problem}
 */
export function problemOf(error, fallback = "unknown") {
  const code = textOf(error, "code") || fallback;
  const advice = Object.hasOwn(ADVICE, code) ? ADVICE[code] : {};
  return {
    code,
    title: advice.title ?? "Something went wrong",
    sentence: advice.sentence ?? (textOf(error, "message") || "There is no further word on it."),
    next: advice.next ?? "Try once more, or reload the page.",
    action: advice.action ?? null,
    stuck: advice.stuck ?? false,
  };
}

/**
 * The problem behind a warning, or null if a person need not know of it.
 * @param {unknown} warning
 */
export function problemOfWarning(warning) {
  return WORTH_SAYING.has(textOf(warning, "code")) ? problemOf(warning) : null;
}

/** @param {unknown} thing @param {"code" | "message"} key */
function textOf(thing, key) {
  const value =
    typeof thing === "object" && thing !== null ? /** @type {Record<string, unknown>} */ (thing)[key] : null;
  return typeof value === "string" ? value : "";
}
