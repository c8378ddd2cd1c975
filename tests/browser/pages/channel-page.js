// One end of a bare data channel: the bytes of a download with nothing around them. It is the floor of every
// comparison: what the browser itself can do, with the same reliable ordered channel that a torrent peer uses.

const BUFFER_HIGH = 1 << 20;
const BUFFER_LOW = 256 << 10;

/** The receiving end. */
const progress = { addedAt: 0, connectedAt: 0, doneAt: 0, downloaded: 0, fraction: 0 };
const pc = new RTCPeerConnection();

/** Opens the channel from the receiving end. Resolves to the offer's SDP, with all candidates in it. */
async function offer(length) {
  progress.addedAt = performance.now();
  const channel = pc.createDataChannel("bytes");
  channel.binaryType = "arraybuffer";
  channel.onopen = () => (progress.connectedAt = performance.now());
  channel.onmessage = ({ data }) => {
    progress.downloaded += data.byteLength;
    progress.fraction = progress.downloaded / length;
    if (progress.downloaded >= length) progress.doneAt = performance.now();
    if (progress.doneAt) finish();
  };
  await pc.setLocalDescription(await pc.createOffer());
  return gathered();
}

let finish;
const finished = new Promise((resolve) => (finish = resolve));

/** Accepts on the sending end, and sends `length` bytes in messages of `size` as soon as the channel opens. */
async function answer(sdp, length, size) {
  pc.ondatachannel = ({ channel }) => (channel.onopen = () => send(channel, length, size));
  await pc.setRemoteDescription({ type: "offer", sdp });
  await pc.setLocalDescription(await pc.createAnswer());
  return gathered();
}

function send(channel, length, size) {
  const message = crypto.getRandomValues(new Uint8Array(65_536));
  const full = new Uint8Array(size);
  for (let at = 0; at < size; at += message.length) full.set(message.subarray(0, size - at), at);
  let left = length;
  const fill = () => {
    while (left > 0 && channel.bufferedAmount < BUFFER_HIGH) {
      const bytes = Math.min(left, size);
      channel.send(bytes === size ? full : full.subarray(0, bytes));
      left -= bytes;
    }
  };
  channel.bufferedAmountLowThreshold = BUFFER_LOW;
  channel.onbufferedamountlow = fill;
  fill();
}

function gathered() {
  return new Promise((resolve) => {
    const check = () => pc.iceGatheringState === "complete" && resolve(pc.localDescription.sdp);
    pc.addEventListener("icegatheringstatechange", check);
    check();
  });
}

window.channel = {
  offer,
  answer,
  accept: (sdp) => pc.setRemoteDescription({ type: "answer", sdp }),
  progress,
  finished,
};
