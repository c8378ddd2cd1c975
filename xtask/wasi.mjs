// Runs a test binary of target wasm32-wasip1 under Node: node --no-warnings wasi.mjs BINARY [ARGUMENTS…]
// It sees the folder it is started in, and nothing else of the machine.
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const [binary, ...rest] = process.argv.slice(2);
const here = process.cwd();
const wasi = new WASI({ version: "preview1", args: [binary, ...rest], env: process.env, preopens: { [here]: here } });
const module = await WebAssembly.compile(await readFile(binary));
process.exitCode = wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject()));
