/**
 * The metrics of one node: each with its name, what it says, and where it is read. The names are part of the interface; units are in them.
 */
import { statSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { HttpServer } from "../api/http.ts";
import { LATENCY_BOUNDS_S, type RouteMeter } from "../api/meter.ts";
import type { Clock } from "../core/ports.ts";
import type { Node } from "../node.ts";
import type { Member } from "../replica.ts";
import type { MetricsText } from "../api/health.ts";
import type { Family, Metrics, Sample } from "../runtime/metrics.ts";
import type { Tallies } from "./tallies.ts";

export interface MetricsDeps {
  readonly version: string;
  readonly server: Pick<HttpServer, "meter" | "connections">;
  readonly node: Node;
  readonly clock: Clock;
  readonly tallies: Tallies;
  /** The file that the data is in; undefined in memory. */
  readonly file: string | undefined;
  readonly isReady: () => boolean;
}

export interface NodeMetrics {
  /** The library is loaded by whoever asks first: a node that nobody watches starts a tenth of a second sooner. */
  text(): Promise<MetricsText>;
  stop(): void;
}

/** The loop's lag is looked at so often: a tenth of a per cent of one processor, and no stall of a moment goes unseen. */
const LAG_RESOLUTION_MS = 50;

const NS_PER_S = 1e9;

export function createNodeMetrics(deps: MetricsDeps): NodeMetrics {
  const lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  lag.enable();
  /** The largest lag since the last look. */
  const readLag = (): Sample[] => {
    const beyond = (ns: number): number => Math.max(0, ns / NS_PER_S - LAG_RESOLUTION_MS / 1000);
    const samples = [50, 99, 100].map((percent) => ({
      labels: { quantile: String(percent / 100) },
      value: beyond(percent === 100 ? lag.max : lag.percentile(percent)),
    }));
    lag.reset();
    return samples;
  };
  const families = [...ofRequests(deps), ...ofPeers(deps), ...ofRepairs(deps), ...ofTheStore(deps), ...ofTheProcess(deps, readLag)];
  let loading: Promise<Metrics> | undefined;
  return {
    async text() {
      const metrics = await (loading ??= import("../runtime/metrics.ts").then(({ createMetrics }) => createMetrics(families)));
      return { contentType: metrics.contentType, text: await metrics.text() };
    },
    stop: () => lag.disable(),
  };
}

function ofRequests({ server: { meter }, server, tallies }: MetricsDeps): Family[] {
  const used = (): RouteMeter[] => meter.routes.filter(({ classes }) => classes.some((count) => count > 0));
  const nameOf = (route: RouteMeter): string => (route === meter.other ? "other" : `${route.method} ${route.path}`);
  return [
    {
      kind: "counter",
      name: "concord_http_requests_total",
      help: "Requests by route and by the class of their answer's status; aborted: the client was gone before the answer was.",
      labels: ["route", "status"],
      read: () =>
        used().flatMap((route) =>
          route.classes.flatMap((value, i) =>
            value === 0 ? [] : [{ labels: { route: nameOf(route), status: i === 0 ? "aborted" : `${i}xx` }, value }],
          ),
        ),
    },
    {
      kind: "histogram",
      name: "concord_http_request_duration_seconds",
      help: "From a request's headers to the last byte of its answer.",
      labels: ["route"],
      bounds: LATENCY_BOUNDS_S,
      read: () => used().map((route) => ({ labels: { route: nameOf(route) }, counts: route.buckets, sum: route.seconds })),
    },
    {
      kind: "counter",
      name: "concord_refused_total",
      help: "Input that was refused: requests of anybody (source http), and what messages of peers held (source peer).",
      labels: ["source", "reason"],
      read: () => [...labelled(meter.refused, "http"), ...labelled(tallies.refused, "peer")],
    },
    gauge("concord_http_connections", "Open connections.", () => server.connections),
    counter(
      "concord_http_connections_dropped_total",
      "Connections that were closed unanswered because there were too many.",
      () => meter.droppedConnections,
    ),
  ];
}

function labelled(counts: ReadonlyMap<string, number>, source: string): Sample[] {
  return [...counts].map(([reason, value]) => ({ labels: { source, reason }, value }));
}

function ofPeers({ node, clock }: MetricsDeps): Family[] {
  const startedMs = clock.now().monotonicMs;
  const members = (): readonly Member[] => node.replica.membership.members();
  const perPeer = (name: string, help: string, of: (member: Member) => number | undefined): Family => ({
    kind: "gauge",
    name,
    help,
    labels: ["peer"],
    read: () =>
      members().flatMap((member) => {
        const value = of(member);
        return value === undefined ? [] : [{ labels: { peer: member.address }, value }];
      }),
  });
  return [
    {
      kind: "gauge",
      name: "concord_peers",
      help: "Peers by what this node thinks of them.",
      labels: ["status"],
      read: () =>
        ["alive", "suspect", "dead", "unknown"].map((status) => ({
          labels: { status },
          value: members().filter((member) => member.status === status).length,
        })),
    },
    perPeer("concord_peer_up", "1 for a peer that answers, 0 for one that does not.", ({ isUp }) => (isUp ? 1 : 0)),
    perPeer("concord_peer_lag_seconds", "Since when the peer and this node hold different data; 0 while they hold the same.", (member) =>
      member.isInSync ? 0 : Math.max(0, clock.now().monotonicMs - (member.agreedMs ?? startedMs)) / 1000,
    ),
    perPeer("concord_peer_round_trip_seconds", "How long the last ping took.", ({ roundTripMs }) =>
      roundTripMs === undefined ? undefined : roundTripMs / 1000,
    ),
  ];
}

function ofRepairs({ tallies }: MetricsDeps): Family[] {
  const { repaired } = tallies;
  const bothWays = (name: string, help: string, received: () => number, sent: () => number): Family => ({
    kind: "counter",
    name,
    help,
    labels: ["direction"],
    read: () => [
      { labels: { direction: "in" }, value: received() },
      { labels: { direction: "out" }, value: sent() },
    ],
  });
  return [
    {
      kind: "counter",
      name: "concord_repairs_total",
      help: "Repairs of this node from a peer, by what they came to and how they ended.",
      labels: ["kind", "result"],
      read: () => tallies.repairs.map(({ kind, result, count }) => ({ labels: { kind, result }, value: count })),
    },
    bothWays(
      "concord_repair_bytes_total",
      "Bytes of entries that repairs have moved.",
      () => repaired.bytesIn,
      () => repaired.bytesOut,
    ),
    bothWays(
      "concord_repair_entries_total",
      "Entries that repairs have moved.",
      () => repaired.entriesIn,
      () => repaired.entriesOut,
    ),
    counter("concord_repair_removed_values_total", "Values that repairs have removed because a peer had.", () => repaired.dropped),
    counter("concord_push_keys_dropped_total", "Keys left to repair because too many waited for a peer.", () => tallies.pushesDropped),
    counter("concord_far_ahead_values_total", "Values whose time was too far ahead to be followed.", () => tallies.stampsFarAhead),
    counter("concord_identities_renounced_total", "Times that this node went on under a new identity.", () => tallies.identitiesRenounced),
  ];
}

function ofTheStore({ node, tallies, file }: MetricsDeps): Family[] {
  const { store } = node.replica;
  return [
    gauge("concord_keys", "Keys.", () => store.durable.keyCount),
    gauge("concord_values", "Live values.", () => store.durable.count),
    gauge("concord_siblings", "Live values beyond one for each key: writes that did not know of each other.", () =>
      Math.max(0, store.durable.count - store.durable.keyCount),
    ),
    gauge("concord_context_identities", "Identities that have written.", () => store.context.incarnationCount),
    gauge("concord_context_gaps", "Gaps in what was seen of them.", () => store.context.exceptionCount),
    counter("concord_expired_values_total", "Values that expired and were removed.", () => tallies.expired),
    counter(
      "concord_kept_values_total",
      "Values that a peer would have removed without an explanation, and that stayed.",
      () => store.removals.refused,
    ),
    gauge("concord_storage_bytes", "Size of the data's file; 0 in memory.", () => sizeOf(file)),
  ];
}

function ofTheProcess({ version, node, isReady }: MetricsDeps, readLag: () => Sample[]): Family[] {
  return [
    {
      kind: "gauge",
      name: "concord_info",
      help: "1, with the version.",
      labels: ["version"],
      read: () => [{ labels: { version }, value: 1 }],
    },
    gauge("concord_ready", "1 when clients may be sent here.", () => (isReady() ? 1 : 0)),
    gauge("concord_inbox_length", "Messages and writes that wait to be taken.", () => node.backlog.inbox),
    gauge("concord_waiting_writes", "Writes of clients under way.", () => node.backlog.writes),
    gauge("concord_push_queue_keys", "Keys that wait to be pushed to peers.", () => node.replica.load.pushKeys),
    {
      kind: "gauge",
      name: "concord_event_loop_lag_seconds",
      help: "How late this process was since the last look; quantile 1 is the latest.",
      labels: ["quantile"],
      read: readLag,
    },
    gauge("concord_resident_memory_bytes", "Memory of this process.", () => process.memoryUsage.rss()),
    gauge("concord_heap_bytes", "Of it JavaScript's.", () => process.memoryUsage().heapUsed),
    counter("concord_processor_seconds_total", "Time on the processor.", () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    }),
    gauge("concord_uptime_seconds", "Since this process began.", () => process.uptime()),
  ];
}

function gauge(name: string, help: string, read: () => number): Family {
  return { kind: "gauge", name, help, read: () => [{ value: read() }] };
}

function counter(name: string, help: string, read: () => number): Family {
  return { kind: "counter", name, help, read: () => [{ value: read() }] };
}

function sizeOf(file: string | undefined): number {
  return file === undefined ? 0 : (statSync(file, { throwIfNoEntry: false })?.size ?? 0);
}
