// What a browser costs: CPU seconds and memory summed over its whole process tree, read from /proc (Linux).
// Invariant: a browser is measured with all its helper processes (network, GPU, renderers), or not at all.
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";

const TICKS_PER_SECOND = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/**
 * @typedef {object} Stat one process's line in /proc
 * @property {number} pid
 * @property {number} parent
 * @property {number} ticks CPU of the process and of its children that have ended
 */

/** @returns {Map<number, Stat>} every process of the machine */
function readProcesses() {
  const processes = new Map();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readStat(Number(name));
    if (stat) processes.set(stat.pid, stat);
  }
  return processes;
}

/** @param {number} pid @returns {Stat | undefined} undefined when the process has ended */
function readStat(pid) {
  let line;
  try {
    line = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // The command may hold spaces and parentheses; the fields after the last one are plain (proc(5): state is field 3).
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const [utime, stime, cutime, cstime] = fields.slice(11, 15).map(Number);
  return { pid, parent: Number(fields[1]), ticks: utime + stime + cutime + cstime };
}

/** @param {number} root @returns {Stat[]} the process and all its descendants */
export function tree(root) {
  const processes = readProcesses();
  const inTree = (/** @type {Stat} */ stat) => {
    for (let at = /** @type {Stat | undefined} */ (stat); at; at = processes.get(at.parent)) {
      if (at.pid === root) return true;
    }
    return false;
  };
  return [...processes.values()].filter(inTree);
}

/** @param {number} root @returns {number} CPU seconds used so far by the tree */
export function cpuSeconds(root) {
  return tree(root).reduce((sum, stat) => sum + stat.ticks, 0) / TICKS_PER_SECOND;
}

/** @param {number} root @returns {number} proportional set size of the tree in bytes: shared pages counted once */
export function memoryBytes(root) {
  return tree(root).reduce((sum, { pid }) => sum + pssBytes(pid), 0);
}

/** @param {number} pid */
function pssBytes(pid) {
  try {
    const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
    return match ? Number(match[1]) * 1024 : 0;
  } catch {
    return 0;
  }
}

/** Samples a tree's CPU and memory until stopped. */
export class Meter {
  #root;
  #startSeconds;
  #timer;
  /** @type {number[]} */
  #samples;

  /** @param {number} root @param {number} [everyMs] sampling period of the memory */
  constructor(root, everyMs = 200) {
    this.#root = root;
    this.#startSeconds = cpuSeconds(root);
    this.#samples = [memoryBytes(root)];
    this.#timer = setInterval(() => this.#samples.push(memoryBytes(root)), everyMs);
  }

  /**
   * @returns {{ cpuSeconds: number, memory: number[] }} used since the meter was made; bytes, the first from the start
   */
  stop() {
    clearInterval(this.#timer);
    const used = cpuSeconds(this.#root) - this.#startSeconds;
    this.#samples.push(memoryBytes(this.#root));
    return { cpuSeconds: used, memory: this.#samples };
  }
}
