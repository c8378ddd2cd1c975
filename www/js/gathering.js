// Waiting for the addresses that a description names: the tracker's protocol has no way to send more of them later.
//
// A STUN server tells within a round trip or two where strangers can reach this machine; one that is gone would keep
// browsers waiting for 10 s. So nothing waits for long at first, and later as long as it was seen to take.

/** No description waits longer than this, ms: dead interfaces make browsers gather for 40 s. */
const GATHERING_MAX = 5000;
/** After the first address that strangers can reach, the others get this long, ms. */
const AFTER_PUBLIC = 1000;
/** After the first local address, a public one gets this long at first, ms: one packet may be lost, and asked again. */
const PATIENCE_FIRST = 600;
/** And at least this long, ms, where it was fast, or where no server has told one. */
const PATIENCE_MIN = 150;

export class Gathering {
  #patience = PATIENCE_FIRST;

  /**
   * Waits for the candidates that are worth it.
   * @param {RTCPeerConnection} pc whose local description was just set
   * @returns {Promise<string>} the description with them; rejects once the connection is closed
   */
  description(pc) {
    return new Promise((resolve, reject) => {
      /** @type {ReturnType<typeof setTimeout> | undefined} */
      let next;
      const finish = () => {
        clearTimeout(last);
        clearTimeout(next);
        // A closed connection has nothing to describe, and in Firefox throws when asked.
        if (pc.signalingState === "closed" || !pc.localDescription) reject(new Error("closed"));
        else resolve(pc.localDescription.sdp);
      };
      const last = setTimeout(finish, GATHERING_MAX);
      const finishWithin = (/** @type {number} */ wait) => {
        clearTimeout(next);
        next = setTimeout(finish, wait);
      };
      const onLocal = () => finishWithin(this.#patience);
      const onPublic = () => finishWithin(AFTER_PUBLIC);
      this.#watch(pc, { onLocal, onPublic, onEnd: finish });
    });
  }

  /**
   * Goes on after the description is out: the next one waits as long as it would have been worth for this one.
   * @param {RTCPeerConnection} pc
   * @param {{ onLocal: () => void, onPublic: () => void, onEnd: () => void }} listener
   */
  #watch(pc, { onLocal, onPublic, onEnd }) {
    /** @type {number | undefined} */
    let localAt;
    let hasPublic = false;
    const end = () => {
      pc.onicecandidate = pc.onicegatheringstatechange = null;
      if (!hasPublic) this.#patience = PATIENCE_MIN;
      onEnd();
    };
    pc.onicecandidate = ({ candidate }) => {
      if (!candidate) return end();
      if (candidate.type !== "srflx" && candidate.type !== "relay") {
        if (localAt !== undefined) return;
        localAt = performance.now();
        return onLocal();
      }
      if (hasPublic) return;
      hasPublic = true;
      if (localAt !== undefined) this.#learn(performance.now() - localAt);
      onPublic();
    };
    pc.onicegatheringstatechange = () => pc.iceGatheringState === "complete" && end();
    if (pc.iceGatheringState === "complete") end();
  }

  /** @param {number} took ms from the first local address to the first public one */
  #learn(took) {
    this.#patience = Math.min(Math.max(2 * took, PATIENCE_MIN), GATHERING_MAX);
  }
}
