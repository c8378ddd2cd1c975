// Runs a test binary of target wasm32-wasip1 under Node: node wasi.mjs BINARY [ARGUMENTS…]
// Invariant: the binary gets its arguments, a clock, chance, two streams to print to, and the files below the folder it is
// started in, to read; and nothing else of the machine. (Node's own `node:wasi` is experimental, and crashes now and
// then when the memory grows.)
import { randomFillSync } from "node:crypto";
import { readFileSync, writeSync } from "node:fs";
import { join, sep } from "node:path";

const OK = 0;
const BAD_DESCRIPTOR = 8;
const NO_ENTRY = 44;
const NOT_SUPPORTED = 58;
/** The descriptor of the folder, and the first of a file. */
const FOLDER = 3;
const FIRST_FILE = 4;

const [binary, ...rest] = process.argv.slice(2);
// A panic ends the program here, so what it says must not be held back.
const lists = { args: [binary, ...rest], environ: ["RUST_TEST_NOCAPTURE=1"] };
const folder = process.cwd();
const encoder = new TextEncoder();
/** Open files: what they hold, and where reading has come to. @type {Map<number, { content: Uint8Array, at: number }>} */
const files = new Map();
let nextFile = FIRST_FILE;
/** @type {WebAssembly.Memory} */
let memory;

const view = () => new DataView(memory.buffer);
const bytes = (at, length) => new Uint8Array(memory.buffer, at, length);

/** The memory that a list of address and length pairs names. */
const buffers = (at, count) =>
  Array.from({ length: count }, (_, index) => {
    const pair = at + 8 * index;
    return bytes(view().getUint32(pair, true), view().getUint32(pair + 4, true));
  });

/** The two calls by which a program gets a list of texts: how much room it takes, and the texts. */
const listCalls = (name) => {
  const texts = lists[name].map((text) => encoder.encode(`${text}\0`));
  return {
    [`${name}_sizes_get`]: (count, size) => {
      view().setUint32(count, texts.length, true);
      view().setUint32(size, texts.reduce((sum, text) => sum + text.length, 0), true);
      return OK;
    },
    [`${name}_get`]: (pointers, at) => {
      for (const [index, text] of texts.entries()) {
        view().setUint32(pointers + 4 * index, at, true);
        bytes(at, text.length).set(text);
        at += text.length;
      }
      return OK;
    },
  };
};

const calls = {
  ...listCalls("args"),
  ...listCalls("environ"),
  clock_time_get: (_clock, _precision, at) => (view().setBigUint64(at, process.hrtime.bigint(), true), OK),
  random_get: (at, length) => (randomFillSync(bytes(at, length)), OK),
  sched_yield: () => OK,
  proc_exit: (code) => process.exit(code),
  fd_prestat_get: (descriptor, at) => {
    if (descriptor !== FOLDER) return BAD_DESCRIPTOR;
    view().setUint32(at, 0, true);
    view().setUint32(at + 4, encoder.encode(folder).length, true);
    return OK;
  },
  fd_prestat_dir_name: (_folder, at, length) => (bytes(at, length).set(encoder.encode(folder)), OK),
  path_open: (_folder, _lookup, path, length, _how, _rights, _inherited, _flags, at) => {
    const full = join(folder, new TextDecoder().decode(bytes(path, length)));
    if (!full.startsWith(folder + sep)) return NO_ENTRY;
    try {
      files.set(nextFile, { content: readFileSync(full), at: 0 });
    } catch {
      return NO_ENTRY;
    }
    view().setUint32(at, nextFile, true);
    nextFile += 1;
    return OK;
  },
  fd_fdstat_get: (descriptor, at) => {
    bytes(at, 24).fill(0xff); // every right: what is not offered fails when it is asked for
    view().setUint16(at, kindOf(descriptor), true);
    view().setUint16(at + 2, 0, true);
    return OK;
  },
  fd_filestat_get: (descriptor, at) => {
    const file = files.get(descriptor);
    if (!file) return BAD_DESCRIPTOR;
    bytes(at, 64).fill(0);
    view().setUint8(at + 16, kindOf(descriptor));
    view().setBigUint64(at + 32, BigInt(file.content.length), true);
    return OK;
  },
  fd_read: (descriptor, parts, count, read) => {
    const file = files.get(descriptor);
    if (!file) return BAD_DESCRIPTOR;
    const start = file.at;
    for (const room of buffers(parts, count)) {
      const piece = file.content.subarray(file.at, file.at + room.length);
      room.set(piece);
      file.at += piece.length;
    }
    view().setUint32(read, file.at - start, true);
    return OK;
  },
  fd_seek: (descriptor, offset, whence, at) => {
    const file = files.get(descriptor);
    if (!file) return BAD_DESCRIPTOR;
    file.at = [0, file.at, file.content.length][whence] + Number(offset);
    view().setBigUint64(at, BigInt(file.at), true);
    return OK;
  },
  fd_close: (descriptor) => (files.delete(descriptor) ? OK : BAD_DESCRIPTOR),
  fd_write: (descriptor, parts, count, written) => {
    if (descriptor !== 1 && descriptor !== 2) return BAD_DESCRIPTOR;
    const total = buffers(parts, count).reduce((sum, text) => sum + writeAll(descriptor, text), 0);
    view().setUint32(written, total, true);
    return OK;
  },
};

/** A folder, a regular file, or a stream. */
function kindOf(descriptor) {
  if (descriptor === FOLDER) return 3;
  return files.has(descriptor) ? 4 : 2;
}

/** A pipe takes what it has room for, and may have none for a moment. */
function writeAll(descriptor, text) {
  for (let done = 0; done < text.length; ) {
    try {
      done += writeSync(descriptor, text, done);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
  return text.length;
}

const module = new WebAssembly.Module(readFileSync(binary));
const names = WebAssembly.Module.imports(module).map(({ name }) => name);
const imports = Object.fromEntries(names.map((name) => [name, calls[name] ?? (() => NOT_SUPPORTED)]));
const { exports } = new WebAssembly.Instance(module, { wasi_snapshot_preview1: imports });
memory = exports.memory;
try {
  exports._start();
} catch (error) {
  if (!(error instanceof WebAssembly.RuntimeError)) throw error;
  process.stderr.write(`${binary} was aborted: ${error.message}\n`);
  process.exit(134);
}
