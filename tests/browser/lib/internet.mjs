// A small internet in network namespaces: two homes behind NATs of their own, and a public address between them.
// Invariant: it leads nowhere else, and is gone with the test.
import { execFileSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { atExit } from "./cleanup.mjs";

/** The server's address there (RFC 5737). */
export const PUBLIC = "203.0.113.10";

/** What a home's router does: its own address for everybody's, and nothing comes in that was not asked for. */
const ROUTER = `
table ip nat {
  chain out { type nat hook postrouting priority 100
    oifname "wan" masquerade
  }
}
table ip guard {
  chain in { type filter hook input priority 0; policy accept
    iifname "wan" ct state new drop
  }
  chain through { type filter hook forward priority 0; policy drop
    ct state established,related accept
    iifname "lan" accept
  }
}`;

/** @returns {string | undefined} why there can be none, for a person */
export function missingInternet() {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "network namespaces need Linux, and root";
  try {
    execFileSync("nft", ["--version"], { stdio: "ignore" });
    accessSync("/proc/self/ns/net", constants.R_OK);
    execFileSync("ip", ["netns"], { stdio: "ignore" });
  } catch {
    return "network namespaces need Debian's nftables and iproute2";
  }
}

/**
 * @typedef {object} Internet
 * @property {string[]} server what runs a command at the public address
 * @property {string[][]} homes what runs a command in a home
 * @property {() => void} close
 */

/** @returns {Internet} */
export function startInternet() {
  const name = (/** @type {string} */ part) => `swarmreel-${process.pid}-${part}`;
  const [net, homes, nats] = [name("net"), ["home1", "home2"].map(name), ["nat1", "nat2"].map(name)];
  const all = [net, ...homes, ...nats];
  const close = () => all.forEach((space) => execFileSync("ip", ["netns", "delete", space], { stdio: "ignore" }));
  const takeBack = atExit(close);
  const inside = (/** @type {string} */ space) => ["ip", "netns", "exec", space];
  for (const space of all) ip(`netns add ${space}`);
  ip(`-n ${net} link add hub type bridge`);
  settle(net, "hub", `${PUBLIC}/24`);
  homes.forEach((home, index) => connect({ net, home, nat: nats[index], number: index + 1 }));
  return {
    server: inside(net),
    homes: homes.map(inside),
    close: () => {
      close();
      takeBack();
    },
  };
}

/** @param {{ net: string, home: string, nat: string, number: number }} spaces one home, its router, and the hub's */
function connect({ net, home, nat, number }) {
  ip(`link add wan netns ${nat} type veth peer name port${number} netns ${net}`);
  ip(`-n ${net} link set port${number} master hub up`);
  settle(nat, "wan", `203.0.113.${number}/24`);
  ip(`link add lan netns ${nat} type veth peer name eth0 netns ${home}`);
  settle(nat, "lan", `10.${number}.0.1/24`);
  settle(home, "eth0", `10.${number}.0.2/24`);
  settle(home, "lo", "127.0.0.2/8");
  ip(`-n ${home} route add default via 10.${number}.0.1`);
  ip(`netns exec ${nat} sysctl -qw net.ipv4.ip_forward=1`);
  execFileSync("ip", ["netns", "exec", nat, "nft", "-f", "-"], { input: ROUTER });
}

/** @param {string} space @param {string} link @param {string} address */
function settle(space, link, address) {
  ip(`-n ${space} address add ${address} dev ${link}`);
  ip(`-n ${space} link set ${link} up`);
}

/** @param {string} words */
function ip(words) {
  execFileSync("ip", words.split(" "));
}
