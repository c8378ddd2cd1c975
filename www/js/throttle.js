// Calls that come in bursts, made fewer. Invariant: the last call of a burst is always followed by a run.

/**
 * Runs at once, then at most once per `interval`: calls in between come together as one run at its end.
 * @param {() => void} run
 * @param {number} interval ms
 * @returns {() => void}
 */
export function throttle(run, interval) {
  let isResting = false;
  let isDue = false;
  const rested = () => {
    isResting = false;
    if (isDue) call();
  };
  const call = () => {
    isDue = isResting;
    if (isResting) return;
    isResting = true;
    setTimeout(rested, interval);
    run();
  };
  return call;
}
