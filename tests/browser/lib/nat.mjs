// A network address translator for one server's UDP port, and a server that says nothing. Invariant: both are on
// loopback and end with the test.
import { createSocket } from "node:dgram";
import { once } from "node:events";

const ADDRESS = "127.0.0.1";

/** @param {(packet: Buffer, from: import("node:dgram").RemoteInfo) => void} [heed] */
async function open(heed = () => {}) {
  const socket = createSocket("udp4", heed);
  socket.bind(0, ADDRESS);
  await once(socket, "listening");
  return { socket, port: socket.address().port };
}

/**
 * The server sees each client under another port than the client's own.
 * @returns {Promise<{ port: number, leadsTo(port: number): void, outside: Set<number>, close(): void }>} `port` stands
 *   for the server's, which `leadsTo` names; `outside`: the ports that the server sees
 */
export async function startNat() {
  let server = 0;
  /** @type {Map<string, Promise<import("node:dgram").Socket>>} */
  const mappings = new Map();
  /** @type {Set<number>} */
  const outside = new Set();
  const map = async (/** @type {import("node:dgram").RemoteInfo} */ client) => {
    const { socket, port } = await open((packet) => inside.socket.send(packet, client.port, client.address));
    outside.add(port);
    return socket;
  };
  const inside = await open(async (packet, client) => {
    const name = `${client.address}:${client.port}`;
    const mapping = mappings.get(name) ?? map(client);
    mappings.set(name, mapping);
    (await mapping).send(packet, server, ADDRESS);
  });
  const close = () => {
    inside.socket.close();
    for (const mapping of mappings.values()) mapping.then((socket) => socket.close());
  };
  return { port: inside.port, leadsTo: (port) => void (server = port), outside, close };
}

/** @returns {Promise<{ port: number, heard(): number, close(): void }>} `heard`: packets so far */
export async function startSink() {
  let packets = 0;
  const { socket, port } = await open(() => (packets += 1));
  return { port, heard: () => packets, close: () => socket.close() };
}
