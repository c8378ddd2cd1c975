// A WebRTC that only signals: descriptions are made, sent and taken, and no connection ever comes of them. It stands in
// for the native module of `bittorrent-tracker`'s client, which is not built here; what it says to a tracker is the
// client's own. Invariant: no two descriptions are alike, so that whoever holds one knows whose it is.
//
// The file is both the module and the hook that puts it in that one's place: `module.register` it.
import { randomBytes } from "node:crypto";

/** A hook of Node's module loader. @param {string} specifier @param {object} context @param {Function} next */
export async function resolve(specifier, context, next) {
  if (specifier === "webrtc-polyfill") return { url: import.meta.url, shortCircuit: true };
  return next(specifier, context);
}

/** What a browser writes for a connection that has one data channel. */
function description() {
  const fingerprint = randomBytes(32).toString("hex").toUpperCase().match(/../g)?.join(":");
  return [
    "v=0",
    `o=- ${randomBytes(7).readUIntBE(0, 6)} 2 IN IP4 127.0.0.1`,
    "s=-",
    "t=0 0",
    "a=group:BUNDLE 0",
    "a=msid-semantic: WMS",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    "a=candidate:1 1 udp 2113937151 192.0.2.7 50000 typ host generation 0 network-cost 999",
    `a=ice-ufrag:${randomBytes(3).toString("base64")}`,
    `a=ice-pwd:${randomBytes(18).toString("base64")}`,
    `a=fingerprint:sha-256 ${fingerprint}`,
    "a=setup:actpass",
    "a=mid:0",
    "a=sctp-port:5000",
    "a=max-message-size:262144",
    "",
  ].join("\r\n");
}

/** As much of the interface as `simple-peer` uses until it is connected. */
export class RTCPeerConnection {
  connectionState = "new";
  iceConnectionState = "new";
  iceGatheringState = "new";
  signalingState = "stable";
  /** @type {{ type: string, sdp: string } | null} */
  localDescription = null;
  /** @type {{ type: string, sdp: string } | null} */
  remoteDescription = null;
  /** @type {((event: { candidate: null }) => void) | null} */
  onicecandidate = null;

  /** @param {string} label */
  createDataChannel(label) {
    return { label, readyState: "connecting", bufferedAmount: 0, close() {} };
  }

  async createOffer() {
    return { type: "offer", sdp: description() };
  }

  async createAnswer() {
    return { type: "answer", sdp: description() };
  }

  /** @param {{ type: string, sdp: string }} description */
  async setLocalDescription(description) {
    this.localDescription = description;
    this.iceGatheringState = "complete";
    queueMicrotask(() => this.onicecandidate?.({ candidate: null }));
  }

  /** @param {{ type: string, sdp: string }} description */
  async setRemoteDescription(description) {
    this.remoteDescription = description;
  }

  async getStats() {
    return new Map();
  }

  close() {
    this.connectionState = "closed";
  }
}

export class RTCSessionDescription {
  /** @param {{ type: string, sdp: string }} description */
  constructor({ type, sdp }) {
    this.type = type;
    this.sdp = sdp;
  }
}

export class RTCIceCandidate {}
