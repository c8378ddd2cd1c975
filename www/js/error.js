// Errors of the public API: a code for programs and a sentence for a person.

/** What `Swarmreel` and everything it makes throw, reject with, and report in `error` events. */
export class SwarmreelError extends Error {
  /**
   * @param {string} code for programs, e.g. `bad-magnet`, `unsupported-codec`, `engine-crashed`
   * @param {string} message a sentence that a person understands
   */
  constructor(code, message) {
    super(message);
    this.name = "SwarmreelError";
    /** For programs. */
    this.code = code;
  }
}
