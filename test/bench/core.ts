/** `npm run bench -- core`: writes through the store in memory and on disk, what digests cost, and how a large folder opens. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { open } from "lmdb";
import { REPLICA_DEFAULTS } from "../../lib/config.ts";
import { contentHash, DEFAULT_DIGEST_KEY, dotHash } from "../../lib/core/digest.ts";
import type { Storage } from "../../lib/core/ports.ts";
import { RECENT_DELETIONS_MAX } from "../../lib/core/recent-deletions.ts";
import { openStore } from "../../lib/core/store-open.ts";
import type { Store } from "../../lib/core/store.ts";
import { createKv } from "../../lib/node/kv.ts";
import { Node } from "../../lib/node.ts";
import { Replica } from "../../lib/replica.ts";
import { generatePlan } from "../../lib/sim/generate.ts";
import { simulate } from "../../lib/sim/simulate.ts";
import { openDiskStorage } from "../../lib/storage/disk.ts";
import { createMemoryStorage } from "../../lib/storage/memory.ts";
import { createMemoryNetwork } from "../../lib/transport/memory.ts";
import { heapMb, line, perSecond, perSecondText } from "./measure.ts";

const VALUE = Buffer.from(JSON.stringify("x".repeat(98)));
const KEYS = 200_000;
const BATCH = 50;
const WRITERS = 50;
const LARGE = 1_000_000;

const random = { uint32: () => Math.floor(Math.random() * 2 ** 32) };
const clock = { now: () => ({ wallMs: Date.now(), monotonicMs: performance.now() }) };

export async function run(): Promise<void> {
  setFlagsFromString("--expose-gc");
  globalThis.gc = runInNewContext("gc") as NodeJS.GCFunction;
  await inMemory();
  digests();
  await onDisk();
  await largeFolder();
  await simulator();
}

function openOn(storage: Storage): Promise<{ store: Store }> {
  const options = { name: "node1", digestKey: DEFAULT_DIGEST_KEY, random, recentDeletionsMax: RECENT_DELETIONS_MAX };
  return openStore(storage, options);
}

async function load(storage: Storage, store: Store, keys: number): Promise<void> {
  for (let i = 0; i < keys; i += BATCH) {
    const nowMs = Date.now();
    for (let j = i; j < i + BATCH; j++) store.put(`key${(j * 7919) % keys}`, { contentType: "", value: VALUE, expiresAtMs: 0 }, nowMs);
    await storage.write(store.takeChanges());
    store.settle();
  }
}

async function inMemory(): Promise<void> {
  const map = new Map<string, Buffer>();
  const plain = await perSecond(KEYS, 3, () => {
    for (let i = 0; i < KEYS; i++) map.set(`key${(i * 7919) % KEYS}`, Buffer.from(VALUE));
  });
  const storage = createMemoryStorage();
  const { store } = await openOn(storage);
  const fresh = await perSecond(KEYS, 1, () => load(storage, store, KEYS));
  const rewrite = await perSecond(KEYS, 3, () => load(storage, store, KEYS));
  line("plain Map, a copy of the value", perSecondText(plain));
  line(`store in memory, new keys, batches of ${BATCH}`, perSecondText(fresh), `${(fresh / plain).toFixed(2)} of the Map`);
  line(`store in memory, rewritten, batches of ${BATCH}`, perSecondText(rewrite), `${(rewrite / plain).toFixed(2)} of the Map`);
}

function digests(): void {
  const rounds = 200_000;
  const time = (work: (i: number) => void) => {
    const startedMs = performance.now();
    for (let i = 0; i < rounds; i++) work(i);
    return ((performance.now() - startedMs) * 1000) / rounds;
  };
  line("hash of a key and 100 bytes", `${time((i) => contentHash(DEFAULT_DIGEST_KEY, `key${i}`, "", VALUE)).toFixed(2)} µs`);
  line("hash of a dot", `${time((i) => dotHash(DEFAULT_DIGEST_KEY, "12345678", i + 1)).toFixed(2)} µs`);
}

async function onDisk(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "concord-bench-"));
  const operations = 20_000;
  try {
    const bare = open<Buffer, string>({ path: join(folder, "bare"), encoding: "binary", overlappingSync: false });
    const storage = await openDiskStorage({ folder: join(folder, "store") });
    const { store } = await openOn(storage);
    const options = { ...REPLICA_DEFAULTS, name: "node1", address: "node1", peers: [] };
    const replica = new Replica(store, options, random, clock.now());
    const node = new Node({ replica, storage, clock, transport: createMemoryNetwork().transport("node1"), defer: setImmediate });
    const kv = createKv({ node, storage, clock, name: "node1", address: "node1" });
    const ratios: number[] = [];
    let rates = { bare: 0, kv: 0 };
    for (let round = 0; round < 3; round++) {
      rates = {
        bare: await perSecond(operations, 1, () => writers(operations, async (i) => void (await bare.put(spread(i), Buffer.from(VALUE))))),
        kv: await perSecond(operations, 1, () =>
          writers(operations, async (i) => void (await kv.write([{ key: spread(i), value: VALUE }]))),
        ),
      };
      ratios.push(rates.kv / rates.bare);
    }
    line(`bare lmdb, ${WRITERS} writers, each put awaited`, perSecondText(rates.bare));
    line(
      `node on lmdb, ${WRITERS} writers, each write awaited`,
      perSecondText(rates.kv),
      `ratios ${ratios.map((r) => r.toFixed(2)).join(" ")}`,
    );
    await node.stop();
    await storage.close();
    await bare.close();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Keys in no order, as hashed names are. */
function spread(i: number): string {
  return `key${(i * 7919) % 1_000_003}`;
}

/** Each of the writers does its next operation when its last one is durable. */
async function writers(operations: number, write: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const writer = async () => {
    while (next < operations) await write(next++);
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
}

async function largeFolder(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "concord-bench-"));
  try {
    const first = await openDiskStorage({ folder });
    const { store } = await openOn(first);
    for (let i = 0; i < LARGE;) {
      for (const end = i + 5_000; i < end; i++) store.put(`key${i}`, { contentType: "", value: VALUE, expiresAtMs: 0 }, Date.now());
      await first.write(store.takeChanges());
      store.settle();
    }
    await first.close();
    const startedMs = performance.now();
    const storage = await openDiskStorage({ folder });
    const opened = await openOn(storage);
    line(
      `open a folder of ${LARGE.toLocaleString("en")} keys of 100 bytes`,
      `${Math.round(performance.now() - startedMs)} ms`,
      "aim: under 1,000",
    );
    for (let i = 0; i < 10_000; i++) opened.store.read(`key${(i * 97) % LARGE}`);
    line("heap and array buffers with it open", `${heapMb().toFixed(0)} MB`, "aim: under 150");
    await storage.close();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function simulator(): Promise<void> {
  const seeds = 100;
  const rate = await perSecond(seeds, 3, async () => {
    for (let seed = 1; seed <= seeds; seed++) await simulate(generatePlan(seed));
  });
  line("simulator: whole clusters with their faults", `${Math.round(rate)} seeds/s`);
}
