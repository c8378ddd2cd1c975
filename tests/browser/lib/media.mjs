// Media to share, made once by ffmpeg. Invariant: each picture carries the second it belongs to, as six black or white
// boxes (a binary clock), so a test can tell from pixels alone that the right frame is shown. `lib/watch.mjs` reads it.
import { execFile } from "node:child_process";
import { createHash, randomFill } from "node:crypto";
import { createReadStream, existsSync, rmSync } from "node:fs";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { atExit } from "./cleanup.mjs";
import { FIXTURES } from "./paths.mjs";

const run = promisify(execFile);

/** Boxes of the clock: seconds 0 to 63. */
export const CLOCK_BITS = 6;

/**
 * @typedef {object} Fixture
 * @property {string} path
 * @property {string} name the file's name
 * @property {number} length bytes
 * @property {number} seconds playing time; 0 for plain bytes
 */

/** Noise and moving shapes, which do not compress, under the clock. */
function picture() {
  const filters = ["noise=alls=40:allf=t"];
  for (let bit = 0; bit < CLOCK_BITS; bit += 1) {
    const box = `drawbox=x=iw*${bit + 0.2}/${CLOCK_BITS}:y=ih*0.1:w=iw*0.6/${CLOCK_BITS}:h=ih*0.2:t=fill`;
    filters.push(`${box}:color=black`, `${box}:color=white:enable='mod(floor(t/${2 ** bit}),2)'`);
  }
  return filters.join(",");
}

/** @param {number} seconds */
const VIDEO_IN = (seconds) => ["-f", "lavfi", "-i", `testsrc2=s=640x360:r=24:d=${seconds}`];
/** @param {number} seconds */
const SOUND_IN = (seconds) => ["-f", "lavfi", "-i", `sine=f=440:d=${seconds}`];
/** @param {string} rate */
const H264 = (rate) => [
  "-vf",
  picture(),
  "-pix_fmt",
  "yuv420p",
  "-c:v",
  "libx264",
  "-preset",
  "ultrafast",
  "-bf",
  "2",
  "-g",
  "48",
  // Filler keeps the rate constant, so a place in time is a place in the file.
  "-x264-params",
  "nal-hrd=cbr:filler=1",
  "-b:v",
  rate,
  "-minrate",
  rate,
  "-maxrate",
  rate,
  "-bufsize",
  rate,
  "-c:a",
  "aac",
  "-b:a",
  "96k",
];
/** @param {string} rate */
const VP9 = (rate) => [
  "-vf",
  picture(),
  "-pix_fmt",
  "yuv420p",
  "-c:v",
  "libvpx-vp9",
  "-deadline",
  "realtime",
  "-cpu-used",
  "8",
  "-g",
  "48",
  "-b:v",
  rate,
  "-minrate",
  rate,
  "-maxrate",
  rate,
  "-c:a",
  "libopus",
  "-b:a",
  "96k",
];
const FRAGMENTED = ["-movflags", "frag_keyframe+empty_moov+default_base_moof"];

/** @typedef {{ seconds: number, args?: string[], from?: string, copy?: string[] }} Recipe */

/** Every media fixture, by file name. `from` remuxes another one. @type {Record<string, Recipe>} */
const RECIPES = {
  // Long enough in bytes that three quarters in is far from downloaded when the first frame shows.
  "big-moov-first.mp4": av(60, [...H264("8M"), "-movflags", "+faststart"]),
  "big-moov-last.mp4": copyOf("big-moov-first.mp4", 60, []),
  "big-fragmented.mp4": copyOf("big-moov-first.mp4", 60, FRAGMENTED),
  "big.webm": av(60, VP9("6M")),
  "small-moov-first.mp4": av(12, [...H264("2M"), "-movflags", "+faststart"]),
  "small-moov-last.mp4": copyOf("small-moov-first.mp4", 12, []),
  "small-fragmented.mp4": copyOf("small-moov-first.mp4", 12, FRAGMENTED),
  "small.webm": av(12, VP9("1500k")),
  "sound.m4a": sound(12, ["-c:a", "aac", "-b:a", "96k", "-movflags", "+faststart"]),
  "sound.mp3": sound(12, ["-c:a", "libmp3lame", "-b:a", "128k"]),
  "sound.webm": sound(12, ["-c:a", "libopus", "-b:a", "96k"]),
  // AC-3 is in no browser's MediaSource on Linux; so is HEVC.
  "unsupported-ac3.mp4": sound(12, ["-c:a", "ac3", "-b:a", "192k"]),
  "unsupported-hevc.mp4": {
    seconds: 6,
    args: [
      ...VIDEO_IN(6),
      "-pix_fmt",
      "yuv420p",
      "-c:v",
      "libx265",
      "-preset",
      "ultrafast",
      "-x265-params",
      "log-level=none",
      "-tag:v",
      "hvc1",
    ],
  },
};

/** @param {number} seconds @param {string[]} codec @returns {Recipe} */
function av(seconds, codec) {
  return { seconds, args: [...VIDEO_IN(seconds), ...SOUND_IN(seconds), ...codec] };
}

/** @param {number} seconds @param {string[]} codec @returns {Recipe} */
function sound(seconds, codec) {
  return { seconds, args: [...SOUND_IN(seconds), ...codec] };
}

/** @param {string} from @param {number} seconds @param {string[]} copy @returns {Recipe} */
function copyOf(from, seconds, copy) {
  return { seconds, from, copy };
}

/** @param {string} name a key of the recipes @returns {Promise<Fixture>} made now unless an earlier run made it */
export async function media(name) {
  const recipe = RECIPES[name];
  if (!recipe) throw new Error(`no recipe for ${name}`);
  const args = recipe.from
    ? ["-i", (await media(recipe.from)).path, "-c", "copy", ...(recipe.copy ?? [])]
    : (recipe.args ?? []);
  const path = await made(name, args.join(" "), async (temporary) => {
    await run("ffmpeg", ["-v", "error", "-y", "-fflags", "+bitexact", ...args, "-f", format(name), temporary]);
  });
  return { path, name, length: (await stat(path)).size, seconds: recipe.seconds };
}

/** @param {string} name */
function format(name) {
  const extension = name.slice(name.lastIndexOf(".") + 1);
  return extension === "m4a" ? "mp4" : extension;
}

/**
 * @param {number} megabytes of 10^6 bytes
 * @returns {Promise<Fixture>} random bytes, which nothing on the way can compress
 */
export async function randomMegabytes(megabytes) {
  if (!(megabytes >= 1 && megabytes <= 10_000))
    throw new Error(`${megabytes} MB is not a size to test with: 1 to 10000.`);
  const name = `random-${megabytes}-mb.bin`;
  const path = await made(name, "v1", async (temporary) => {
    const file = await open(temporary, "w");
    const block = Buffer.alloc(1_000_000);
    for (let at = 0; at < megabytes; at += 1) {
      await promisify(randomFill)(block);
      await file.write(block);
    }
    await file.close();
  });
  return { path, name, length: megabytes * 1_000_000, seconds: 0 };
}

/**
 * @param {string} name
 * @param {string} recipe
 * @param {(temporary: string) => Promise<void>} make
 */
async function made(name, recipe, make) {
  // A changed recipe is another fixture: its folder is named by the recipe's hash.
  const folder = join(FIXTURES, createHash("sha256").update(`${name} ${recipe}`).digest("hex").slice(0, 12));
  const path = join(folder, name);
  if (existsSync(path)) return path;
  await mkdir(folder, { recursive: true });
  const temporary = `${path}.${process.pid}.part`;
  const takeBack = atExit(() => rmSync(temporary, { force: true }));
  try {
    await make(temporary);
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true }); // Half a fixture is none.
    takeBack();
  }
  return path;
}

/** @param {string} path @returns {Promise<string>} SHA-256 of a file, hex */
export async function sha256(path) {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
