// Waiting for a condition of this process. Invariant: never longer than it says, and a failure names what did not come.

/** How often it is looked at, ms. */
const LOOK_MS = 50;

/**
 * @param {() => boolean} holds
 * @param {string} what is waited for
 * @param {number} [seconds]
 * @returns {Promise<number>} how long it took, ms
 */
export async function until(holds, what, seconds = 30) {
  const started = performance.now();
  while (!holds()) {
    if (performance.now() - started > seconds * 1000) throw new Error(`There was no ${what} within ${seconds} s.`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return performance.now() - started;
}
