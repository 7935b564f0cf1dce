/**
 * Peers that know only the base protocol: a simple store that answers GET /ping and GET /store/hash, and takes pairs at POST /replicate.
 *
 * It has no context and no dots, so there is nothing to compare but the one hash that it shows, and that only with what it showed
 * after our last push: the way in which it hashes is its own affair. When the two differ it has been restarted or changed by
 * somebody, and is given the whole store again, a pair a request, which the simplest of them takes. Whatever changes here goes to
 * it as it happens, and the hash is read again after each such batch, before anybody else can look at it.
 *
 * Deletions and values that are not JSON cannot be said in the base protocol. They are left out, and the log says so once.
 */
import { ConcordError } from "../core/errors.ts";
import type { Kv, KvValue } from "../core/kv.ts";
import type { Message } from "../core/message.ts";
import type { Log } from "../core/ports.ts";
import type { BaseMemory } from "./base-memory.ts";
import type { PeerAnswer, PeerRequest } from "./http.ts";

export interface BasePeersDeps {
  readonly kv: Pick<Kv, "get" | "list" | "watch" | "hash">;
  readonly memory: Pick<BaseMemory, "gave">;
  readonly log: Log;
  /** Rejects with `peer-failed`. */
  request(to: string, request: PeerRequest): Promise<PeerAnswer>;
  /** The peer is there, and has no summary to give. */
  answered(from: string): void;
  /** The reply to a push. */
  receive(from: string, message: Message): void;
  unreachable(to: string, why: string): void;
}

export interface BasePeers {
  /** A peer is being brought up to date. */
  readonly isWorking: boolean;
  /** A message for such a peer: what can be said in the base protocol is said in it. */
  speak(to: string, message: Message): void;
  /** Something for this peer was lost: at its next ping it is given everything. */
  forget(peer: string): void;
  close(): void;
}

/** Pairs under way to one peer side by side. */
const SIDE_BY_SIDE = 4;

/** Pairs read at once from the store. */
const PAGE_ROWS = 100;

/** Keys that wait to be pushed. With more than this the whole store is pushed instead. */
const DIRTY_MAX = 10_000;

/** Pushes that wait for their acknowledgement: each is bounded by the replica's own timeout. */
const WAITING_MAX = 100;

interface BasePeer {
  readonly address: string;
  /** What it showed when it last held all that we hold. */
  hash: string;
  /** It has to be given everything. */
  needsAll: boolean;
  /** Keys that changed here since. */
  readonly dirty: Set<string>;
  /** Exchanges of pushes to be acknowledged when nothing is dirty. */
  readonly waiting: number[];
  /** Bringing it up to date is under way. */
  working: boolean;
  refused: number;
  toldLeftOut: boolean;
}

export function createBasePeers(deps: BasePeersDeps): BasePeers {
  const peers = new Map<string, BasePeer>();
  let unwatch: (() => void) | undefined;
  let closed = false;

  const peerAt = (address: string): BasePeer => {
    let peer = peers.get(address);
    if (peer === undefined) {
      peer = { address, hash: "", needsAll: true, dirty: new Set(), waiting: [], working: false, refused: 0, toldLeftOut: false };
      peers.set(address, peer);
      deps.log.write("info", `Peer ${address} speaks only the base protocol`);
    }
    unwatch ??= deps.kv.watch("", ({ key }) => {
      for (const each of peers.values()) markDirty(each, key);
    });
    return peer;
  };

  /** What went wrong on the way to it: it is given everything when it is back. */
  const fail = (peer: BasePeer, error: unknown): void => {
    peer.needsAll = true;
    peer.dirty.clear();
    peer.waiting.length = 0;
    if (!closed) deps.unreachable(peer.address, error instanceof Error ? error.message : String(error));
  };

  const meet = async (peer: BasePeer): Promise<void> => {
    await get(deps, peer.address, "/ping");
    deps.answered(peer.address);
    if (peer.working) return;
    const hash = await hashOf(deps, peer.address);
    if (peer.working) return;
    if (hash !== peer.hash) peer.needsAll = true;
    await update(peer);
  };

  /** Pushes until the peer holds what we hold, then notes its hash. */
  const update = async (peer: BasePeer): Promise<void> => {
    if (peer.working) return;
    peer.working = true;
    try {
      while (!closed && (peer.needsAll || peer.dirty.size > 0)) {
        if (peer.needsAll) await compare(deps, peer);
        else await pushDirty(deps, peer);
        peer.hash = await hashOf(deps, peer.address);
      }
      acknowledge(deps, peer);
    } finally {
      peer.working = false;
    }
  };

  const run = (peer: BasePeer, work: Promise<void>): void => {
    work.catch((error: unknown) => fail(peer, error));
  };

  return {
    get isWorking() {
      return [...peers.values()].some(({ working }) => working);
    },
    speak(to, message) {
      if (closed) return;
      const peer = peerAt(to);
      if (message.kind === "ping") run(peer, meet(peer));
      if (message.kind !== "push" || peer.waiting.length >= WAITING_MAX) return;
      peer.waiting.push(message.exchange);
      run(peer, update(peer));
    },
    forget(address) {
      const peer = peers.get(address);
      if (peer !== undefined) peer.needsAll = true;
    },
    close() {
      closed = true;
      unwatch?.();
    },
  };
}

function markDirty(peer: BasePeer, key: string): void {
  if (peer.dirty.size < DIRTY_MAX) peer.dirty.add(key);
  else {
    peer.dirty.clear();
    peer.needsAll = true;
  }
}

/** Everything is pushed, unless it hashes as we do and shows the same. */
async function compare(deps: BasePeersDeps, peer: BasePeer): Promise<void> {
  // Before the first look, so that what is lost meanwhile asks for another round.
  peer.needsAll = false;
  peer.dirty.clear();
  const isEqual = (await hashOf(deps, peer.address)) === deps.kv.hash();
  const told = isEqual ? "store hashes match, no replication needed" : "store hashes differ, replicating";
  deps.log.write("info", `${peer.address}: ${told}`);
  if (!isEqual) await pushAll(deps, peer);
}

async function pushAll(deps: BasePeersDeps, peer: BasePeer): Promise<void> {
  const startedMs = performance.now();
  let pairs = 0;
  for (let after: string | undefined = ""; after !== undefined;) {
    const page = deps.kv.list({ limit: PAGE_ROWS, ...(after === "" ? {} : { after }) });
    await pushPairs(deps, peer, page.entries);
    pairs += page.entries.length;
    after = page.cursor;
  }
  const tookMs = Math.round(performance.now() - startedMs);
  deps.log.write("info", `${peer.address}: ${pairs} pairs pushed in ${tookMs} ms${peer.refused > 0 ? `, ${peer.refused} refused` : ""}`);
  peer.refused = 0;
}

async function pushDirty(deps: BasePeersDeps, peer: BasePeer): Promise<void> {
  const pairs: Pair[] = [];
  for (const key of peer.dirty) {
    peer.dirty.delete(key);
    const value = deps.kv.get(key);
    if (value === undefined) tellLeftOut(deps, peer);
    else pairs.push({ key, value });
    if (pairs.length >= PAGE_ROWS) break;
  }
  await pushPairs(deps, peer, pairs);
}

interface Pair {
  readonly key: string;
  readonly value: KvValue;
}

async function pushPairs(deps: BasePeersDeps, peer: BasePeer, pairs: readonly Pair[]): Promise<void> {
  // Texts first: a listing's values are valid only until the next await.
  const texts: (readonly [key: string, text: string])[] = [];
  for (const { key, value } of pairs) {
    if (value.contentType === "") texts.push([key, Buffer.from(value.value).toString("utf8")]);
    else tellLeftOut(deps, peer);
  }
  const lane = async (): Promise<void> => {
    for (let next = texts.pop(); next !== undefined; next = texts.pop()) {
      const [key, text] = next;
      const json = `{"key":${JSON.stringify(key)},"value":${text}}`;
      const { status } = await deps.request(peer.address, { method: "POST", path: "/replicate", json });
      if (status >= 500) throw new ConcordError("peer-failed", `it answered ${status} to POST /replicate`);
      if (status >= 300) peer.refused++;
      else deps.memory.gave(peer.address, key, text);
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, lane));
}

function acknowledge(deps: BasePeersDeps, peer: BasePeer): void {
  const accepted = peer.refused === 0;
  peer.refused = 0;
  for (const exchange of peer.waiting.splice(0)) deps.receive(peer.address, { kind: "push-ack", exchange, accepted });
}

function tellLeftOut(deps: BasePeersDeps, peer: BasePeer): void {
  if (peer.toldLeftOut) return;
  peer.toldLeftOut = true;
  deps.log.write("warn", `${peer.address}: the base protocol has no words for deletions and binary values; they stay unknown there`);
}

/** The hash that it shows, or whatever else it says there: it is only compared with itself. */
async function hashOf(deps: BasePeersDeps, address: string): Promise<string> {
  const text = Buffer.from(await get(deps, address, "/store/hash"))
    .toString("latin1")
    .trim();
  return /^\{\s*"hash"\s*:\s*"([^"\\]*)"\s*\}$/.exec(text)?.[1] ?? text;
}

async function get(deps: BasePeersDeps, address: string, path: string): Promise<Uint8Array> {
  const { status, body } = await deps.request(address, { method: "GET", path });
  if (status !== 200) throw new ConcordError("peer-failed", `it answered ${status} to GET ${path}`);
  return body;
}
