// Everything that comes in: the link field, the file button, drops and pastes anywhere on the page.
// Invariant: decides nothing; hands a text or files to the page, which says what is wrong with them.

import { find } from "./dom.js";

export class Intake {
  /**
   * @param {{
   *   onLink: (text: string) => Promise<boolean>,
   *   onFiles: (files: File[]) => void,
   *   onFolder: () => void,
   * }} handlers `onLink` resolves to whether the link was taken
   */
  constructor(handlers) {
    this.handlers = handlers;
    this.form = find(document, "form.link", HTMLFormElement);
    this.field = find(this.form, "input", HTMLInputElement);
    this.button = find(this.form, "button", HTMLButtonElement);
    this.chooser = find(document, ".zone input", HTMLInputElement);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit(this.field.value);
    });
    this.field.addEventListener("input", () => this.field.removeAttribute("aria-invalid"));
    this.chooser.addEventListener("change", () => this.choose());
    document.addEventListener("paste", (event) => this.paste(event));
    this.listenForDrops();
  }

  /** @param {string} text */
  async submit(text) {
    this.button.disabled = true;
    const taken = await this.handlers.onLink(text);
    this.button.disabled = false;
    if (taken) {
      this.field.value = "";
    } else {
      this.field.setAttribute("aria-invalid", "true");
      this.field.focus();
    }
  }

  choose() {
    const files = [...(this.chooser.files ?? [])];
    // Emptied, so that choosing the same file again is a change again.
    this.chooser.value = "";
    if (files.length > 0) this.handlers.onFiles(files);
  }

  /** A link pasted outside the field is meant for it. @param {ClipboardEvent} event */
  paste(event) {
    if (event.target instanceof HTMLInputElement) return;
    const files = [...(event.clipboardData?.files ?? [])];
    const text = event.clipboardData?.getData("text/plain").trim() ?? "";
    if (files.length > 0) {
      this.handlers.onFiles(files);
    } else if (text) {
      this.field.value = text;
      this.submit(text);
    }
  }

  listenForDrops() {
    // A drag enters each child it crosses before it leaves the one before, so the page counts.
    let depth = 0;
    const set = (/** @type {number} */ value) => {
      depth = Math.max(0, value);
      document.body.classList.toggle("dragging", depth > 0);
    };
    document.addEventListener("dragenter", () => set(depth + 1));
    document.addEventListener("dragleave", () => set(depth - 1));
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      set(0);
      this.drop(event.dataTransfer);
    });
  }

  /** @param {DataTransfer | null} data */
  drop(data) {
    if (!data) return;
    const folder = [...data.items].some((item) => item.kind === "file" && item.webkitGetAsEntry?.()?.isDirectory);
    const text = data.getData("text/uri-list").trim() || data.getData("text/plain").trim();
    if (folder) this.handlers.onFolder();
    else if (data.files.length > 0) this.handlers.onFiles([...data.files]);
    else if (text) this.submit(text);
  }
}
