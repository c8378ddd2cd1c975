// The bars that the project set itself, computed from the medians. Invariant: a bar that could not be measured is not
// met.

/** @typedef {Record<string, Record<string, number>>} Medians by contender, then by measure */

/**
 * @typedef {object} Bar
 * @property {string} name
 * @property {number | null} value null when a run it needs is missing
 * @property {"at least" | "at most"} sense
 * @property {number} bar
 * @property {boolean} met
 */

const CHANNEL = /^channel-/;

/** @param {Medians} medians @returns {string | undefined} the bare channel's best message size, by throughput */
export function bestChannel(medians) {
  const names = Object.keys(medians).filter((name) => CHANNEL.test(name));
  return names.sort((a, b) => medians[b].megabytesPerSecond - medians[a].megabytesPerSecond)[0];
}

/** @param {Medians} medians @returns {Bar[]} */
export function bars(medians) {
  const ours = medians.swarmreel ?? {};
  const theirs = medians.webtorrent ?? {};
  const bare = medians[bestChannel(medians) ?? ""] ?? {};
  return [
    bar("throughput / webtorrent", ratio(ours.megabytesPerSecond, theirs.megabytesPerSecond), "at least", 1.7),
    bar("throughput / bare channel", ratio(ours.megabytesPerSecond, bare.megabytesPerSecond), "at least", 0.85),
    bar("CPU / bare channel", ratio(ours.cpuSeconds, bare.cpuSeconds), "at most", 1.3),
    bar("first frame / webtorrent", ratio(ours.firstFrameMs, theirs.firstFrameMs), "at most", 0.5),
    bar("frame after a seek / webtorrent", ratio(ours.seekMs, theirs.seekMs), "at most", 0.5),
    bar(
      "two seeders, one slow / webtorrent",
      ratio(ours.seedersMegabytesPerSecond, theirs.seedersMegabytesPerSecond),
      "at least",
      1,
    ),
    bar("four leechers / webtorrent", ratio(ours.swarmMegabytesPerSecond, theirs.swarmMegabytesPerSecond), "at least", 1.5),
    bar(
      "web seed and peer / webtorrent",
      ratio(ours.webSeedMegabytesPerSecond, theirs.webSeedMegabytesPerSecond),
      "at least",
      1,
    ),
    bar("longest task of a download, ms", ours.longestTaskMs, "at most", 50),
    bar("longest task of starting to play, ms", ours.playLongestTaskMs, "at most", 50),
    bar("peak memory, large torrent / small", ratio(ours.largePeakMegabytes, ours.peakMegabytes), "at most", 1.1),
    bar("median memory, large torrent / small", ratio(ours.largeMedianMegabytes, ours.medianMegabytes), "at most", 1.1),
  ];
}

/** @param {number | undefined} a @param {number | undefined} b */
function ratio(a, b) {
  return a === undefined || b === undefined ? undefined : a / b;
}

/**
 * @param {string} name
 * @param {number | undefined} value
 * @param {Bar["sense"]} sense
 * @param {number} limit
 * @returns {Bar}
 */
function bar(name, value, sense, limit) {
  const met = value !== undefined && (sense === "at least" ? value >= limit : value <= limit);
  return { name, value: value === undefined ? null : rounded(value), sense, bar: limit, met };
}

/** @param {number[]} samples @returns {number} the middle one, or the mean of the two in the middle */
export function median(samples) {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @param {number} value @returns {number} with three significant digits where there are more */
export function rounded(value) {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}
