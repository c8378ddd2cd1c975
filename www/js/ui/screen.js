// The picture: the one `<video>`, its curtain, and the browser's rules on sound.
// Invariant: at most one file is on the screen; what an earlier file still has to say is not heard.

import { find, show } from "./dom.js";

/** @typedef {"none" | "loading" | "waiting" | "playing" | "paused" | "ended" | "failed"} ScreenState */

export class Screen {
  /** @param {{ onChange: () => void, onFail: (error: unknown) => void }} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    this.root = find(document, ".screen", HTMLElement);
    this.picture = find(this.root, ".picture", HTMLElement);
    this.video = find(this.root, "video", HTMLVideoElement);
    this.unmute = find(this.root, ".unmute", HTMLButtonElement);
    /** @type {ScreenState} */
    this.state = "none";
    /** Counts what was put on the screen. */
    this.showing = 0;
    this.starts = false;
    /** @type {string | null} */
    this.preview = null;
    this.listen();
  }

  /**
   * Plays a torrent's file as it comes.
   * @param {import("./item.js").TorrentFile} file
   */
  async play(file) {
    const showing = this.replace("loading", true);
    try {
      await file.play(this.video);
    } catch (error) {
      // A browser that wants a click first has only put off the start.
      const refused = error instanceof DOMException && error.name === "NotAllowedError";
      if (showing === this.showing && !refused) this.fail(error);
    }
  }

  /**
   * Shows a person their own file, paused at its start.
   * @param {File} file
   */
  show(file) {
    this.replace("loading", false);
    this.preview = URL.createObjectURL(file);
    this.video.src = this.preview;
  }

  clear() {
    this.replace("none", false);
  }

  /** What was shown can't go on. */
  blank() {
    if (this.state !== "failed") this.replace("failed", false);
  }

  /** @param {ScreenState} state @param {boolean} starts whether to play without being asked */
  replace(state, starts) {
    this.showing += 1;
    this.starts = starts;
    if (this.video.hasAttribute("src") || this.video.srcObject) {
      this.video.removeAttribute("src");
      this.video.srcObject = null;
      this.video.load();
    }
    if (this.preview) URL.revokeObjectURL(this.preview);
    this.preview = null;
    this.video.controls = false;
    this.picture.style.removeProperty("aspect-ratio");
    show(this.unmute, false);
    this.become(state);
    return this.showing;
  }

  listen() {
    const on = (/** @type {string} */ name, /** @type {() => void} */ act) =>
      this.video.addEventListener(name, () => this.state !== "none" && this.state !== "failed" && act());
    on("loadedmetadata", () => this.fit());
    on("loadeddata", () => this.open());
    on("playing", () => this.become("playing"));
    on("waiting", () => this.become("waiting"));
    on("seeking", () => this.become("waiting"));
    on("seeked", () => this.become(this.video.paused ? "paused" : "playing"));
    on("pause", () => this.become(this.video.ended ? "ended" : "paused"));
    on("ended", () => this.become("ended"));
    on("volumechange", () => !this.video.muted && show(this.unmute, false));
    // For a torrent's file the promise of play() says what is wrong, and says it better.
    on("error", () => this.preview && this.fail(null));
    this.unmute.addEventListener("click", () => (this.video.muted = false));
  }

  /** The first picture is there. */
  open() {
    this.video.controls = true;
    this.become("paused");
    if (this.starts) this.start();
  }

  /** Without a click on the page first, browsers only start a video that is silent. */
  async start() {
    const showing = this.showing;
    try {
      await this.video.play();
    } catch (error) {
      const silenced = error instanceof DOMException && error.name === "NotAllowedError" && !this.video.muted;
      if (!silenced || showing !== this.showing) return;
      this.video.muted = true;
      show(this.unmute, true);
      await this.video.play().catch(() => {
        this.video.muted = false;
        show(this.unmute, false);
      });
    }
  }

  /** Gives the picture the video's own shape; sound alone keeps the reel. */
  fit() {
    const { videoWidth, videoHeight } = this.video;
    if (videoWidth > 0 && videoHeight > 0) this.picture.style.aspectRatio = `${videoWidth} / ${videoHeight}`;
    this.root.classList.toggle("sound-only", videoWidth === 0);
  }

  /** @param {unknown} error null when only a preview cannot be shown */
  fail(error) {
    this.blank();
    this.handlers.onFail(error);
  }

  /** @param {ScreenState} state */
  become(state) {
    if (state === "none" || state === "loading" || state === "failed") this.root.classList.remove("sound-only");
    this.state = state;
    this.root.dataset.screen = state;
    this.handlers.onChange();
  }
}
