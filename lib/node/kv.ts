/**
 * The Kv of a node: translates keys, tokens and values at the border, reads what is durable straight from the storage, and hands writes
 * to the node's inbox.
 */
import { decodeSiblings, KEY_BYTES_MAX, NAME_BYTES_MAX } from "../core/codec.ts";
import { damagedNow, DamagedRecordError } from "../core/damaged.ts";
import { storeHash } from "../core/digest.ts";
import { dotsOf, isExpired, NO_SIBLINGS, type Siblings } from "../core/entry.ts";
import { ConcordError } from "../core/errors.ts";
import { validateJson } from "../core/json.ts";
import type { LocalWrite } from "../core/change.ts";
import type { Kv, KvEvent, KvOperation, KvReceipt, NodeStatus } from "../core/kv.ts";
import { entryAt, keyFromBytes, keyToBytes, type EntryKey } from "../core/layout.ts";
import type { RepairReceipt, ReplicaEvent } from "../core/output.ts";
import type { Clock, Storage } from "../core/ports.ts";
import { policyProblem } from "../core/policy.ts";
import { refuseIfWaiting } from "../core/quarantine.ts";
import { ENTRY_BYTES_MAX } from "../core/room.ts";
import { decodeToken, encodeToken } from "../core/token.ts";
import { listKeys, waitingIn } from "./kv-list.ts";
import { listConflicts } from "./kv-conflicts.ts";
import { explain, holdersOf } from "./kv-why.ts";
import { show, showEach, type Showing } from "./kv-view.ts";
import { Receipt } from "./receipt.ts";
import type { Node } from "../node.ts";
import { createRepairDesk, type Later } from "./repair-desk.ts";
import { addAnswer, keepReceipt, worthierRepair, type Answered } from "./repairs.ts";
import type { Member, Operation } from "../replica.ts";

export interface KvDeps {
  readonly node: Node;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly name: string;
  readonly address: string;
  /** Bytes that a value may have which is written here; what peers bring may be larger. Without: what one key may hold. */
  readonly valueBytesMax?: number;
  /** Hears of what a watcher throws; without it that surfaces as an uncaught error of the program. */
  readonly onWatcherError?: (error: unknown) => void;
  /** Runs something after so many milliseconds; without it nobody is told that a repair takes long. */
  readonly later?: Later;
}

/** The Kv, and what the node's listeners must feed it with. */
export interface NodeKv extends Kv {
  onChange(key: EntryKey, before: Siblings, after: Siblings): void;
  onEvent(event: ReplicaEvent): void;
}

/** Bytes of values that wait to be durable: a second or two of a disk's work. One request is always taken. */
const WAITING_BYTES_MAX = 128 * 1024 * 1024;

const TOO_MUCH_WAITS = `writes of ${WAITING_BYTES_MAX} bytes wait for the disk or for other nodes already; try again`;

export function createKv(deps: KvDeps): NodeKv {
  const { node, storage, clock, valueBytesMax = ENTRY_BYTES_MAX } = deps;
  const store = node.replica.store;
  const { policies } = store;
  const { digestKey } = store.options;
  const watchers = new Set<{ readonly prefix: string; readonly listener: (event: KvEvent) => void }>();
  const desk = createRepairDesk(node, deps.later ?? (() => ({ cancel: () => undefined })));
  let waitingBytes = 0;
  const receipts = new Map<string, RepairReceipt>();
  let lastRepair: RepairReceipt | undefined;
  let lastAnswered: Answered | undefined;

  const read = (key: EntryKey): Siblings => {
    const record = pastDamage(node, () => storage.get(entryAt(key)));
    if (record === undefined && store.quarantine.isUsed) refuseIfWaiting(storage, key);
    return record === undefined ? NO_SIBLINGS : decodeSiblings(record);
  };

  const showing = (): Showing => ({ digestKey, policies, nowMs: clock.now().wallMs });

  return {
    get(key) {
      const bytes = checkKey(key);
      return show(showing(), bytes, read(bytes));
    },

    siblings(key) {
      const bytes = checkKey(key);
      return showEach(showing(), bytes, read(bytes));
    },

    async refresh(key, { copies, token }) {
      const bytes = checkKey(key);
      const seen = token === undefined ? [] : decodeToken(digestKey, bytes, token);
      const result = await node.read(bytes, copies, seen);
      if (!result.ok) throw result.error;
      return result.copies;
    },

    async write(operations, options = {}): Promise<KvReceipt> {
      const { wallMs } = clock.now();
      const translated = operations.map((operation, at) => translate(operation, at, wallMs));
      const bytes = translated.reduce((sum, { write }) => sum + (write?.value.length ?? 0), 0);
      if (waitingBytes > 0 && waitingBytes + bytes > WAITING_BYTES_MAX) throw new ConcordError("overloaded", TOO_MUCH_WAITS);
      waitingBytes += bytes;
      try {
        const result = await node.write(translated, options.copies ?? 1, options.local);
        if (!result.ok) throw result.error;
        const keys = translated.map(({ key }) => key);
        return new Receipt(digestKey, keys, result.dots, result.copies);
      } finally {
        waitingBytes -= bytes;
      }
    },

    list: (options) =>
      pastDamage(node, () => {
        const listing = listKeys(storage, showing(), options);
        return store.quarantine.isUsed ? { ...listing, waiting: waitingIn(storage, options, listing.cursor) } : listing;
      }),

    conflicts: (options) => pastDamage(node, () => listConflicts(storage, showing(), options)),

    why(key) {
      const bytes = checkKey(key);
      return explain({ showing: showing(), key: bytes, siblings: read(bytes), gone: store.recentRemovals.of(bytes) });
    },

    async holders(key) {
      const bytes = checkKey(key);
      const looked = await node.look(bytes);
      if (!looked.ok) throw looked.error;
      return holdersOf(deps, read(bytes), node.replica.membership.members(), looked.held ?? []);
    },

    watch(prefix, listener) {
      const watcher = { prefix: keyToBytes(prefix), listener };
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },

    status: (): NodeStatus => ({
      name: deps.name,
      address: deps.address,
      keys: store.durable.keyCount,
      count: store.durable.count,
      hash: storeHash(store.durable.root, store.durable.count),
      incarnations: store.context.incarnationCount,
      exceptions: store.context.exceptionCount,
      peers: node.replica.membership.members().map(viewMember),
      repairingWith: node.replica.repairingWith,
      sketchReady: node.replica.sketchReady,
      lastRepair,
      repairs: [...receipts.values()],
      lastSent:
        lastAnswered === undefined
          ? undefined
          : { peer: lastAnswered.peer, entries: lastAnswered.entries, bytes: lastAnswered.bytes, atMs: lastAnswered.atMs },
      scrub: node.replica.scrubber.view(),
      stopped: node.stopped?.message,
    }),

    repair: (peer) => desk.repair(peer),
    compare: (peer) => desk.compare(peer),
    scrub: () => node.scrub("asked"),

    hash: () => storeHash(store.durable.root, store.durable.count),

    onChange(key, before, siblings) {
      if (watchers.size === 0) return;
      if (siblings.length === 0 && before.length === 0) return;
      const nowMs = clock.now().wallMs;
      const value = show({ digestKey, policies, nowMs }, key, siblings);
      // What came, had expired on its way, and replaced nothing, was never there for anybody.
      if (value === undefined && before.length === 0) return;
      const kind = value !== undefined ? "put" : hasExpired(before, siblings, nowMs) ? "expire" : "delete";
      tell(key, { kind, value, token: encodeToken(digestKey, key, dotsOf(siblings)) });
    },

    onEvent(event) {
      if (event.kind === "repair-ended") {
        keepReceipt(receipts, event.receipt);
        lastRepair = worthierRepair(event.receipt, lastRepair);
      }
      desk.onEvent(event);
      if (event.kind === "lost-deleted")
        tell(event.key, { kind: "delete", value: undefined, token: encodeToken(digestKey, event.key, []) });
      if (event.kind === "repair-answered") lastAnswered = addAnswer(event, lastAnswered, clock.now());
    },
  };

  function tell(key: EntryKey, about: Omit<KvEvent, "key">): void {
    const event: KvEvent = { ...about, key: keyFromBytes(key) };
    for (const watcher of watchers) if (key.startsWith(watcher.prefix)) call(watcher.listener, event, deps.onWatcherError);
  }

  function translate(operation: KvOperation, at: number, nowMs: number): Operation {
    const key = checkKey(operation.key);
    const seen = operation.beside === true ? [] : undefined;
    const observed = operation.token === undefined ? seen : decodeToken(digestKey, key, operation.token);
    const { condition } = operation;
    if (operation.touch === true) return { key, write: undefined, touch: { expiresAtMs: expiryOf(operation.ttlMs, nowMs) }, condition };
    if (operation.increment !== undefined) return { key, write: incrementOf(operation, nowMs), condition };
    if (operation.value === undefined) return { key, write: undefined, observed, condition };
    const { length } = operation.value;
    if (length > valueBytesMax) throw new ConcordError("too-large", `the value has ${length} bytes; ${valueBytesMax} are the most here`);
    const contentType = operation.contentType ?? "";
    if (contentType === "" && operation.validated !== true) checkJson(operation.value);
    if (Buffer.byteLength(contentType) > NAME_BYTES_MAX)
      throw new ConcordError("invalid", `a content type has ${NAME_BYTES_MAX} bytes at most`);
    // What a peer of the base protocol holds is taken as it is; a client is told.
    const policy = operation.beside === true ? "latest" : policies.of(key);
    const problem = policyProblem(policy, { contentType, value: operation.value });
    if (problem !== undefined) throw new ConcordError("invalid", problem, { operation: at });
    return { key, write: { contentType, value: operation.value, expiresAtMs: expiryOf(operation.ttlMs, nowMs), observed }, condition };
  }
}

/** A reader who meets a damaged record is refused, and everything is looked over. */
function pastDamage<T>(node: Node, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DamagedRecordError)) throw error;
    node.scrub("damage");
    throw damagedNow(error);
  }
}

/** The key as a byte string. Throws `invalid` or `too-large`. */
export function checkKey(key: string): EntryKey {
  if (key === "") throw new ConcordError("invalid", "the key is empty; a key has 1 to 1024 bytes");
  const bytes = keyToBytes(key);
  if (bytes.length > KEY_BYTES_MAX) throw new ConcordError("too-large", `the key has ${bytes.length} bytes; ${KEY_BYTES_MAX} are the most`);
  return bytes;
}

/** Throws `invalid`. */
function incrementOf({ increment, ttlMs }: KvOperation, nowMs: number): LocalWrite {
  if (!Number.isSafeInteger(increment)) throw new ConcordError("invalid", "what is added is a whole number, of 2^53 - 1 at most");
  return { contentType: "", value: NO_BYTES, expiresAtMs: expiryOf(ttlMs, nowMs), increment };
}

const NO_BYTES = new Uint8Array(0);

function expiryOf(ttlMs: number | undefined, nowMs: number): number {
  if (ttlMs === undefined) return 0;
  if (!(ttlMs > 0 && ttlMs <= TTL_MAX_MS)) throw new ConcordError("invalid", "the time to live must be over 0 and at most a hundred years");
  return Math.ceil(nowMs + ttlMs);
}

const TTL_MAX_MS = 100 * 366 * 86_400_000;

/** Nothing was taken away before its time: what is gone, and what is left, had expired. */
function hasExpired(before: Siblings, siblings: Siblings, nowMs: number): boolean {
  return siblings.length > 0 || before.every((sibling) => isExpired(sibling, nowMs));
}

function viewMember(member: Member): NodeStatus["peers"][number] {
  const { address, name, status, listed, sinceMs, roundTripMs } = member;
  return { address, name, status, listed, sinceMs, roundTripMs, inSync: member.summary === undefined ? undefined : member.differed === 0 };
}

/** A watcher that throws is its program's bug, and is reported as one; the node, in the middle of its turn, goes on. */
function call(listener: (event: KvEvent) => void, event: KvEvent, onError = rethrowLater): void {
  try {
    listener(event);
  } catch (error) {
    onError(error);
  }
}

function rethrowLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

function checkJson(value: Uint8Array): void {
  const checked = validateJson(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf8"));
  if (!checked.ok)
    throw new ConcordError("invalid", `the value is not JSON (${checked.problem}); give its content type when it is something else`);
}
