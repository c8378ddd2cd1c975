// Holds the declared public API against the code: checked by tsc, never run.

import type * as actual from "./js/swarmreel.js";
import type * as declared from "./swarmreel.js";

declare const client: actual.Swarmreel;
declare const torrent: actual.Torrent;
declare const file: actual.TorrentFile;
declare const options: declared.Options;
declare const seedOptions: declared.SeedOptions;

/** What is made fits what is declared, and what may be given by the declaration is taken. */
client satisfies Pick<declared.Swarmreel, "destroy">;
client.seed([], seedOptions) satisfies Promise<actual.Torrent>;
client.add("") satisfies Promise<actual.Torrent>;
torrent satisfies Omit<declared.Torrent, "files" | "ready" | "done">;
torrent.stats() satisfies declared.Stats;
file satisfies Pick<declared.TorrentFile, keyof declared.TorrentFile>;
options satisfies Parameters<typeof actual.Swarmreel.create>[0];
