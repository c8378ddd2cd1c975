// Prints the bytes of each file of the site, largest first, as it is, with gzip and with brotli: node size.mjs FOLDER
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";

const folder = process.argv[2];
const names = readdirSync(folder, { recursive: true }).filter((name) => statSync(join(folder, name)).isFile());
const rows = names.map((name) => {
  const bytes = readFileSync(join(folder, name));
  return { name, raw: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length, brotli: brotliCompressSync(bytes).length };
});
rows.sort((a, b) => b.raw - a.raw);
const sum = (kind) => rows.reduce((total, row) => total + row[kind], 0);
console.table([...rows, { name: "total", raw: sum("raw"), gzip: sum("gzip"), brotli: sum("brotli") }]);
