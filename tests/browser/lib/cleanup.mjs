// Undoing what a test started. Invariant: every process, server and folder a test makes is gone when the test is over,
// whether it passed, failed, timed out or was interrupted.

/** @type {Set<() => void>} */
const lastResorts = new Set();

/**
 * Registers a synchronous kill that runs if this process ends before it was taken back.
 * @param {() => void} kill
 * @returns {() => void} takes the kill back
 */
export function atExit(kill) {
  lastResorts.add(kill);
  return () => lastResorts.delete(kill);
}

function killAll() {
  for (const kill of lastResorts) {
    try {
      kill();
    } catch {
      // Already gone: that is what was wanted.
    }
  }
  lastResorts.clear();
}

process.on("exit", killAll);
for (const [signal, code] of /** @type {[NodeJS.Signals, number][]} */ ([
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
])) {
  process.once(signal, () => {
    killAll();
    process.exit(code);
  });
}

/** A stack of things to close, the last opened first. */
export class Closers {
  /** @type {(() => unknown)[]} */
  #stack = [];

  /** @param {() => unknown} close */
  push(close) {
    this.#stack.push(close);
  }

  /** Closes everything, even when one of them fails; the first failure is thrown at the end. */
  async close() {
    let failure;
    while (this.#stack.length > 0) {
      try {
        await this.#stack.pop()?.();
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure) throw failure;
  }
}
