// Where things are. Invariant: everything the tests generate lands under `target/` or `artifacts/`, never beside
// sources.
import { mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** `tests/browser`. */
export const HERE = resolve(dirname(fileURLToPath(import.meta.url)), "..");
/** The root of the repository. */
export const ROOT = resolve(HERE, "../..");
/** Cargo's target directory. */
export const TARGET = process.env.CARGO_TARGET_DIR ? resolve(ROOT, process.env.CARGO_TARGET_DIR) : join(ROOT, "target");

/** Generated media, kept between runs. */
export const FIXTURES = made(join(TARGET, "browser-fixtures"));
/** Screenshots and logs of failed tests. */
export const ARTIFACTS = made(join(HERE, "artifacts"));

/** @param {string} folder */
function made(folder) {
  mkdirSync(folder, { recursive: true });
  return folder;
}
