/** Replicas and nodes for tests: driven by hand, with a clock that stands still and a storage that is durable when the test says so. */
import type { Message } from "../../lib/core/message.ts";
import { parsePolicyRule, Policies, type PolicyRule } from "../../lib/core/policy/names.ts";
import type { Output, ReplicaEvent } from "../../lib/core/output.ts";
import type { Storage, StorageChange } from "../../lib/core/ports.ts";
import { REPLICA_DEFAULTS } from "../../lib/config.ts";
import { createKv, type NodeKv } from "../../lib/node/kv.ts";
import { Node, type NodeDeps } from "../../lib/node.ts";
import { Replica, type ReplicaOptions } from "../../lib/replica.ts";
import { createMemoryStorage, type MemoryStorage } from "../../lib/storage/memory.ts";
import { createMemoryNetwork, type MemoryNetwork } from "../../lib/transport/memory.ts";
import { at, createClock, createRandom, type ManualClock } from "./chance.ts";
import { openTestStore } from "./stores.ts";

export interface HeldStorage extends Storage {
  /** Batches that were handed over, in order. */
  readonly batches: (readonly StorageChange[])[];
  /** How many of them are neither durable nor failed. */
  readonly waiting: number;
  /** The first waiting batch becomes durable. Resolves when all that follows from it has happened. */
  release(): Promise<void>;
  /** The first waiting batch fails. */
  fail(error: Error): Promise<void>;
  /** From now on batches are durable at once. */
  letGo(): Promise<void>;
}

export function createHeldStorage(below: MemoryStorage = createMemoryStorage()): HeldStorage {
  const batches: (readonly StorageChange[])[] = [];
  const held: { readonly durable: () => Promise<void>; readonly reject: (error: Error) => void }[] = [];
  let holding = true;
  const release = async (): Promise<void> => {
    await held.shift()?.durable();
    await quiet();
  };
  return {
    batches,
    get waiting() {
      return held.length;
    },
    get: (key) => below.get(key),
    range: (from, to, limit) => below.range(from, to, limit),
    close: () => below.close(),
    write(batch) {
      batches.push(batch);
      if (!holding) return below.write(batch);
      return new Promise((resolve, reject) => {
        const durable = async (): Promise<void> => {
          await below.write(batch);
          resolve();
        };
        held.push({ durable, reject });
      });
    },
    release,
    async fail(error) {
      held.shift()?.reject(error);
      await quiet();
    },
    async letGo() {
      holding = false;
      while (held.length > 0) await release();
    },
  };
}

/** Resolves when every promise that can go on by itself has done so. No timer is involved. */
export function quiet(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export type TestReplicaOptions = Partial<ReplicaOptions>;

export async function createTestReplica(name: string, options: TestReplicaOptions = {}): Promise<Replica> {
  const { store } = await openTestStore(name);
  return new Replica(
    store,
    { ...REPLICA_DEFAULTS, jitterMs: 0, pushEveryMs: 0, peers: [], name, address: name, ...options },
    createRandom(name.charCodeAt(0)),
    at(0),
  );
}

export interface TestNode {
  readonly node: Node;
  readonly kv: NodeKv;
  readonly storage: Storage;
  readonly sent: { readonly to: string; readonly message: Message }[];
  readonly events: ReplicaEvent[];
  /** Keys whose changes were published. */
  readonly changed: string[];
  readonly failures: Error[];
}

export interface TestNodeOptions extends TestReplicaOptions {
  readonly storage?: Storage;
  readonly clock?: ManualClock;
  /** Without one, what the node sends goes nowhere. */
  readonly network?: MemoryNetwork;
  readonly onWatcherError?: (error: unknown) => void;
  readonly timing?: Pick<NodeDeps, "defer" | "later">;
  /** As --merge takes them. */
  readonly merge?: readonly string[];
}

export async function createTestNode(name: string, options: TestNodeOptions = {}): Promise<TestNode> {
  const { storage = createMemoryStorage(), clock = createClock(), network, onWatcherError, timing = {}, merge = [], ...rest } = options;
  const { store } = await openTestStore(name, { storage: storage as MemoryStorage, policies: policiesOf(merge) });
  const replica = new Replica(
    store,
    { ...REPLICA_DEFAULTS, jitterMs: 0, pushEveryMs: 0, peers: [], name, address: name, ...rest },
    createRandom(name.charCodeAt(0)),
    clock.now(),
  );
  const [sent, events, changed, failures]: [TestNode["sent"], ReplicaEvent[], string[], Error[]] = [[], [], [], []];
  const carrier = network?.transport(name);
  const transport = {
    send(to: string, message: Message): void {
      sent.push({ to, message });
      carrier?.send(to, message);
    },
  };
  const node = new Node(
    { replica, storage, transport, clock, ...timing },
    {
      onEvent: (event) => {
        events.push(event);
        kv.onEvent(event);
      },
      onChange: (key, before, after) => {
        changed.push(key);
        kv.onChange(key, before, after);
      },
      onFailure: (error) => failures.push(error),
    },
  );
  const kv: NodeKv = createKv({ node, storage, clock, name, address: name, ...(onWatcherError === undefined ? {} : { onWatcherError }) });
  network?.attach(name, node);
  return { node, kv, storage, sent, events, changed, failures };
}

export function policiesOf(merge: readonly string[]): Policies {
  return new Policies(merge.map((text) => parsePolicyRule(text) as PolicyRule));
}

/** Nodes on one network that know each other, all up. Ticks of the clock go to all of them. */
export async function createCluster(
  names: readonly string[],
  options: TestReplicaOptions & Pick<TestNodeOptions, "merge"> = {},
): Promise<{ readonly nodes: TestNode[]; readonly network: MemoryNetwork; readonly tick: (ms?: number) => Promise<void> }> {
  const [clock, network] = [createClock(), createMemoryNetwork()];
  const nodes: TestNode[] = [];
  for (const name of names) nodes.push(await createTestNode(name, { peers: names, clock, network, ...options }));
  const tick = async (ms = 1000): Promise<void> => {
    clock.advance(ms);
    for (const { node } of nodes) node.tick();
    await quiet();
  };
  await tick(0);
  return { nodes, network, tick };
}

/** What a step decided, in short: "send ping b", "reply push-ack", "changed k", "settle 1 ok", an event's name with its peer. */
export function shownOutputs(outputs: readonly Output[]): string[] {
  return outputs.map((output) => {
    switch (output.type) {
      case "send":
        return `send ${output.message.kind} ${output.to}`;
      case "reply":
        return `reply ${output.message.kind}`;
      case "settle":
        return `settle ${output.ticket} ${output.result.ok ? "ok" : output.result.error.code}`;
      case "changed":
        return `changed ${output.key}`;
      case "event":
        return "peer" in output.event ? `${output.event.kind} ${output.event.peer}` : output.event.kind;
      case "again":
      case "continue":
      case "wake":
        return output.type;
    }
  });
}

/** A promise whose outcome can be looked at. */
export function watched<T>(promise: Promise<T>): { value?: T } {
  const seen: { value?: T } = {};
  void promise.then((value) => (seen.value = value));
  return seen;
}

/** The peer has answered a ping, so that writes are pushed to it. */
export function meet(held: TestNode, peer: string): void {
  held.node.tick();
  const { message } = held.sent.at(-1)!;
  held.node.receive(peer, {
    ...(message as Message & { kind: "ping" }),
    kind: "pong",
    name: peer,
    address: peer,
    instance: peer.padEnd(8, "-"),
  });
}

/** The keys that a batch writes entries of, as they lie in the storage. */
export function entriesOf(batch: readonly StorageChange[]): string[] {
  return batch.map(({ key }) => key).filter((key) => key.startsWith("e"));
}
