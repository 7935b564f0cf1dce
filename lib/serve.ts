/**
 * The composition root for production: one node out of storage, store, replica, transport, clock and HTTP server.
 *
 * The order of a start: take the port (a port that is taken is said before anything else is touched), open the data, answer peers, ping
 * them at once, and answer clients when the first round with the peers is over. The order of a stop: refuse new writes, finish those
 * under way and hand them to the peers, let go of the port, close the data.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { guardBrowsers } from "./api/browsers.ts";
import { createApp } from "./api/app.ts";
import type { TakePairs } from "./api/peer.ts";
import { DEFAULT_HOSTNAME, listenHttp, type HttpServer } from "./api/http.ts";
import { REPLICA_DEFAULTS, VALUE_BYTES_MAX } from "./config.ts";
import { DEFAULT_DIGEST_KEY } from "./core/digest.ts";
import { ConcordError } from "./core/errors.ts";
import type { Kv } from "./core/kv.ts";
import type { ReplicaEvent } from "./core/output.ts";
import type { Clock, Log, Random, Storage } from "./core/ports.ts";
import { Policies } from "./core/policy/names.ts";
import { RECENT_DELETIONS_MAX } from "./core/recent-deletions.ts";
import { openStore } from "./core/store-open.ts";
import type { Store } from "./core/store.ts";
import { Node } from "./node.ts";
import { createKv } from "./node/kv.ts";
import { Replica } from "./replica.ts";
import { createSystemClock } from "./runtime/clock.ts";
import { createCronSchedule, createCronTicker } from "./runtime/cron.ts";
import { createLog } from "./runtime/log.ts";
import { createSystemRandom } from "./runtime/random.ts";
import { openAccess, type NodeAccess } from "./serve/access.ts";
import { createFirstRound } from "./serve/first-round.ts";
import { refusedOf, whyNotReady } from "./serve/health.ts";
import { lineOf, linesOfOpening } from "./serve/lines.ts";
import { createNodeMetrics } from "./serve/metrics.ts";
import { baseUrl, checkOptions, type NodeOptions, type ServeOptions } from "./serve/options.ts";
import { createScrubPace } from "./serve/scrub-pace.ts";
import { Tallies } from "./serve/tallies.ts";
import { withWayOut } from "./storage/failure.ts";
import { openDiskStorage } from "./storage/disk.ts";
import { createMemoryStorage } from "./storage/memory.ts";
import { DATA_FILE } from "./storage/probe.ts";
import { createBaseMemory } from "./transport/base-memory.ts";
import { createBasePeers, type BasePeers } from "./transport/base-peer.ts";
import { createHttpTransport, type HttpTransport } from "./transport/http.ts";

export type { Kv, KvEvent, KvListing, KvOperation, KvReceipt, KvValue, NodeStatus } from "./core/kv.ts";
export { parsePolicyRule, type PolicyRule } from "./core/policy/names.ts";
export type { Log, LogLevel } from "./core/ports.ts";
export type { LogOptions } from "./runtime/log.ts";
export type { ServeOptions } from "./serve/options.ts";

export interface RunningNode {
  readonly name: string;
  /** The base URL under which the peers know this node. */
  readonly address: string;
  /** The base URL at which this machine reaches it. */
  readonly url: string;
  readonly port: number;
  readonly kv: Kv;
  /** Resolves when the first round with the peers is over: clients are answered from then on. */
  readonly ready: Promise<void>;
  /** Resolves, if ever, when the node cannot go on (a failed disk, a broken invariant); it has been logged. `stop` is still to be called. */
  readonly failed: Promise<Error>;
  /** What the ticker calls about once a second. */
  tick(): void;
  /** Takes no more writes, finishes what is in flight within a deadline, and lets go of port and folder. Idempotent. */
  stop(): Promise<void>;
}

/** Clients wait this long, or for the timeout of a peer if that is shorter: less than people wait before they try again. */
const FIRST_ROUND_MS_MAX = 5_000;

/** What is in flight when the node stops: a client's write may wait this long for its copies. */
const STOP_DEADLINE_MS = 5_000;

/** A write that has waited in vain until then is still answered. */
const LAST_ANSWER_MS = 1_000;

/** Rejects with ConcordError: `invalid` (an option, a port that is taken), and what the storage refuses with. */
export async function startNode(options: ServeOptions): Promise<RunningNode> {
  checkOptions(options);
  const peers = options.peers.map((peer) => baseUrl(peer, "peer", options));
  const access = openAccess(options);
  const listening = listenHttp({ hostname: options.hostname ?? DEFAULT_HOSTNAME, port: options.port, tls: access.tls });
  listening.catch(() => access.stop());
  const server = await listening;
  const scheme = access.tls === undefined ? "http" : "https";
  return startOn({ server, access, peers, address: options.address ?? `${scheme}://localhost:${server.port}` }, options);
}

export interface Ground {
  readonly server: HttpServer;
  readonly access: NodeAccess;
  readonly peers: readonly string[];
  readonly address: string;
}

/** The rest of a start, on a server that is there already. When it fails, the server is closed. */
export async function startOn({ server, access, peers, address: given }: Ground, options: NodeOptions): Promise<RunningNode> {
  let storage: Storage | undefined;
  try {
    const address = baseUrl(given, "the address", options);
    const name = options.name ?? address.replace(/^https?:\/\//, "");
    const log = isLog(options.log) ? options.log : createLog(name, options.log);
    const parts = { name, address, peers, log, access, server, clock: createSystemClock(), random: createSystemRandom() };
    storage = options.storage ?? (options.folder === undefined ? createMemoryStorage() : await openDiskStorage({ folder: options.folder }));
    const policies = new Policies(options.merge);
    const { random } = parts;
    const storeOptions = { name, digestKey: DEFAULT_DIGEST_KEY, random, recentDeletionsMax: RECENT_DELETIONS_MAX, policies };
    const { store, rebuilt, healed } = await openStore(storage, storeOptions);
    for (const { level, text } of linesOfOpening(rebuilt, healed, store.quarantine.size)) log.write(level, text);
    return compose({ ...parts, storage, store }, options);
  } catch (error) {
    access.stop();
    await server.close(0);
    await storage?.close();
    throw withWayOut(options.folder, error);
  }
}

interface Parts {
  readonly name: string;
  readonly address: string;
  readonly peers: readonly string[];
  readonly log: Log;
  readonly access: NodeAccess;
  readonly server: HttpServer;
  readonly clock: Clock;
  readonly random: Random;
  readonly storage: Storage;
  readonly store: Store;
}

function compose(parts: Parts, options: NodeOptions): RunningNode {
  const { name, address, log, access, server, clock, storage, store } = parts;
  const given = definedOf({ pingEveryMs: options.pingEveryMs, timeoutMs: options.timeoutMs });
  const replicaOptions = { ...REPLICA_DEFAULTS, ...options.tuning, ...given, name, address, peers: parts.peers };
  const replica = new Replica(store, replicaOptions, parts.random, clock.now());
  const transport = createHttpTransport({ address, timeoutMs: replicaOptions.timeoutMs, ...access.outgoing });
  const round = createFirstRound(replica, Math.min(replicaOptions.timeoutMs, FIRST_ROUND_MS_MAX));
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => (fail = resolve));

  const tallies = new Tallies();
  const onEvent = (event: ReplicaEvent): void => {
    const line = tallies.add(event, performance.now()) ? lineOf(event) : undefined;
    if (line !== undefined) log.write(line.level, line.text);
    kv.onEvent(event);
    pace.onEvent(event);
    if (event.kind === "push-dropped") basePeers.forget(event.peer);
    round.look();
  };
  const pace = createScrubPace(() => node);
  const onFailure = (cause: Error): void => {
    pace.stop();
    const error = withWayOut(options.folder, cause) as Error;
    log.write("error", `this node has stopped: ${error.message}`);
    fail(error);
  };
  const node: Node = new Node(
    {
      replica,
      storage,
      transport,
      clock,
      defer: (turn) => void setImmediate(turn),
      later: (afterMs, run) => void setTimeout(run, afterMs),
    },
    { onEvent, onChange: (key, before, after) => kv.onChange(key, before, after), onFailure },
  );
  const valueBytesMax = options.valueBytesMax ?? VALUE_BYTES_MAX;
  const kv = createKv({ node, storage, clock, name, address, valueBytesMax, later });
  const clientsKv = withoutWritesWhen(() => stopping !== undefined, kv);
  const memory = createBaseMemory(clientsKv);
  const basePeers = createBasePeers({
    kv,
    memory,
    log,
    request: (to, request) => transport.request(to, request),
    answered: (from) => node.answeredBase(from),
    receive: (from, message) => node.receive(from, message),
    unreachable: (to, why) => node.unreachable(to, why),
  });
  transport.attach({
    receive: (from, message) => node.receive(from, message),
    unreachable: (to, why) => node.unreachable(to, why),
    speakBase: (to, message) => basePeers.speak(to, message),
  });
  const startedMs = performance.now();
  let stopping: Promise<void> | undefined;
  const notReady = () => (stopping === undefined ? whyNotReady(node, round.gate) : "the node is stopping");
  const isReady = () => notReady() === undefined;
  const file = options.folder === undefined ? undefined : join(options.folder, DATA_FILE);
  const metrics = createNodeMetrics({ version: VERSION, server, node, clock, tallies, file, isReady });
  const health = { notReady, metrics: () => metrics.text() };
  const about = () => ({
    version: VERSION,
    uptimeMs: Math.round(performance.now() - startedMs),
    ready: isReady(),
    refused: refusedOf(server.meter, tallies, store),
    ...access.about(),
  });
  const watching = new AbortController();
  const takePairs: TakePairs = (pairs) => memory.take(pairs);
  const incoming = { access: access.incoming(log), meter: server.meter, valueBytesMax, stopping: watching.signal };
  const app = createApp({ ...incoming, kv: clientsKv, inbox: node, takePairs, log, gate: round.gate, about, health });
  const trustsOwnMachine = options.tokenFile === undefined && options.insecure !== true;
  server.serve(guardBrowsers(app, { allowed: options.allowOrigins ?? [], trustsOwnMachine, address }));
  access.follow(log, server);

  const ticker = (options.createTicker ?? createCronTicker)(() => {
    node.tick();
    round.look();
  });
  const scrubs = options.scrub === undefined ? undefined : createCronSchedule(options.scrub, () => void node.scrub("scheduled"));
  node.tick();
  round.look();
  const timers = [ticker, pace, ...(scrubs === undefined ? [] : [scrubs])];
  const closing = { watching, node, access, server, timers, round, basePeers, transport, storage, metrics };
  const ready = round.gate.opened;
  const { port, url } = server;
  return { name, address, url, port, kv: clientsKv, ready, failed, tick: () => node.tick(), stop: () => (stopping ??= stop(closing)) };
}

/** While a node finishes what it has taken, it still talks to its peers but takes no more from clients. */
function withoutWritesWhen(isStopping: () => boolean, kv: Kv): Kv {
  const refuse = (): Promise<never> => Promise.reject(new ConcordError("stopping", "this node is stopping; ask another one"));
  return { ...kv, write: (operations, options) => (isStopping() ? refuse() : kv.write(operations, options)) };
}

interface Closing {
  /** Ends the answers that have no end of their own. */
  readonly watching: { abort(): void };
  readonly node: Node;
  readonly access: Pick<NodeAccess, "stop">;
  readonly server: HttpServer;
  readonly timers: readonly { stop(): void }[];
  readonly round: { end(): void };
  readonly basePeers: Pick<BasePeers, "isWorking" | "close">;
  readonly transport: Pick<HttpTransport, "pushesUnderWay" | "close">;
  readonly storage: Storage;
  readonly metrics: { stop(): void };
}

async function stop(closing: Closing): Promise<void> {
  const { watching, node, access, server, timers, round, basePeers, transport, storage, metrics } = closing;
  const deadlineMs = performance.now() + STOP_DEADLINE_MS;
  round.end();
  watching.abort();
  const closed = server.close(STOP_DEADLINE_MS + LAST_ANSWER_MS);
  // Writes that wait for copies, and those that the peers have not been told of yet.
  const isBusy = () => node.backlog.writes > 0 || node.replica.load.pushKeys > 0 || transport.pushesUnderWay > 0 || basePeers.isWorking;
  while (node.stopped === undefined && isBusy() && performance.now() < deadlineMs) await pause(LOOK_EVERY_MS);
  for (const timer of timers) timer.stop();
  access.stop();
  await within(deadlineMs, node.stop());
  basePeers.close();
  metrics.stop();
  await closed;
  await transport.close();
  await within(deadlineMs, storage.close());
}

/** A disk that hangs must not hang the stop: what it has not finished was never acknowledged. */
async function within(deadlineMs: number, work: Promise<void>): Promise<void> {
  const leftMs = Math.max(DISK_MS_MIN, deadlineMs - performance.now());
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, leftMs)));
  await Promise.race([work, late]);
  clearTimeout(timer);
}

/** Also past the deadline a disk that works gets the time to finish a batch. */
const DISK_MS_MIN = 1_000;

const LOOK_EVERY_MS = 10;

function later(work: () => void, ms: number): { cancel(): void } {
  const timer = setTimeout(work, ms);
  return { cancel: () => clearTimeout(timer) };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function isLog(log: NodeOptions["log"]): log is Log {
  return log !== undefined && "write" in log;
}

/** Without the members that are undefined, which would hide a default. */
function definedOf<T extends object>(given: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/** Found by the package's own name: this file is at another depth in what is published. */
const { version: VERSION } = createRequire(import.meta.url)("concord/package.json") as { readonly version: string };
