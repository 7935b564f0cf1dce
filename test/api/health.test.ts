/** /livez, /readyz and /metrics: what they say of a node that starts, runs, refuses, fails and stops. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type ExecutionContext } from "ava";
import type { Storage } from "../../lib/core/ports.ts";
import { listenHttp } from "../../lib/api/http.ts";
import { createMemoryStorage } from "../../lib/storage/memory.ts";
import { send } from "../support/http.ts";
import { startCluster, startTestNode, until } from "../support/nodes.ts";

test("while the data is being opened, the node is alive and not ready, and says why", async (t) => {
  const server = await listenHttp({ hostname: "127.0.0.1", port: 0 });
  t.teardown(() => server.close(0));
  t.is((await send(server.url, "GET", "/livez")).status, 200);
  const { status, json, headers } = await send(server.url, "GET", "/readyz?x=1");
  t.is(status, 503);
  t.is(json.error, "not ready: the data is being opened");
  t.is(headers["retry-after"], "1");
});

async function silentPeer(t: ExecutionContext): Promise<string> {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  t.teardown(() => silent.closeAllConnections());
  t.teardown(() => silent.close());
  return `http://localhost:${(silent.address() as AddressInfo).port}`;
}

test("ready is who has met its peers or waited long enough for them", async (t) => {
  const node = await startTestNode(t, { peers: [await silentPeer(t)], timeoutMs: 2_000 });
  const early = await send(node.url, "GET", "/readyz");
  t.deepEqual([early.status, early.json.error], [503, "not ready: the first round with the peers is not over"]);
  t.is((await send(node.url, "GET", "/livez")).status, 200);
  t.is((await send(node.url, "GET", "/status")).json.ready, false);
  await node.ready;
  const late = await send(node.url, "GET", "/readyz");
  t.deepEqual([late.status, late.text], [200, '{"ready":true}']);
  t.deepEqual((await send(node.url, "GET", "/status")).json.refused.requests, {}, "to be told that it is not ready is no refusal");
  t.is((await send(node.url, "HEAD", "/readyz")).status, 200);
});

test("a node whose storage has failed is alive and not ready", async (t) => {
  const inner = createMemoryStorage();
  const storage: Storage = { ...inner, write: () => Promise.reject(new Error("the disk is gone")) };
  const node = await startTestNode(t, { storage });
  await node.ready;
  t.true((await send(node.url, "POST", "/store", { body: '{"key":"k","value":1}' })).status >= 500);
  const { status, json } = await send(node.url, "GET", "/readyz");
  t.is(status, 503);
  t.regex(json.error, /^not ready: .*the disk is gone/);
  t.is((await send(node.url, "GET", "/livez")).status, 200);
});

/** Every line of samples as name and labels → value. */
async function metricsOf(t: ExecutionContext, url: string): Promise<Map<string, number>> {
  const { text, headers, status } = await send(url, "GET", "/metrics");
  t.is(status, 200);
  t.regex(String(headers["content-type"]), /^text\/plain; version=0\.0\.4/);
  const samples = new Map<string, number>();
  const helped = new Set<string>();
  for (const line of text.split("\n").filter((each) => each !== "")) {
    const [, help] = /^# (?:HELP|TYPE) (\S+) ./.exec(line) ?? [];
    if (help !== undefined) {
      helped.add(help);
      continue;
    }
    const [, sample = "", name = "", value = ""] = /^((concord_[a-z_]+)(?:\{[^}]*\})?) (\S+)$/.exec(line) ?? [];
    t.true(helped.has(name.replace(/_(bucket|sum|count)$/, "")) || helped.has(name), `${line} has a help text`);
    t.false(samples.has(sample), `${sample} stands there once`);
    samples.set(sample, Number(value));
  }
  return samples;
}

test("the metrics of a node at work", async (t) => {
  const [a, b] = await startCluster(t, 2);
  await until(t, "both are up", () => [a!, b!].every(({ lines }) => lines.includes("All peers are up")), [a!, b!]);
  await send(a!.url, "POST", "/store?w=2", { body: '{"key":"k","value":1}' });
  await a!.kv.write([{ key: "l", value: Buffer.from("1") }, { key: "l", value: Buffer.from("2"), beside: true }], { local: true }); // prettier-ignore
  await send(a!.url, "POST", "/store", { body: "{" });
  for (let i = 0; i < 3; i++) await send(a!.url, "GET", `/store/key?key=${i === 0 ? "k" : "none"}`);
  await until(t, "b repairs", () => b!.kv.get("l") !== undefined, [a!, b!]);
  await until(t, "they agree", () => b!.kv.status().peers[0]?.inSync === true && a!.kv.status().peers[0]?.inSync === true, [a!, b!]);
  const ofA = await metricsOf(t, a!.url);
  const ofB = await metricsOf(t, b!.url);
  const value = (of: Map<string, number>, sample: string): number | undefined => of.get(sample);
  t.is(value(ofA, 'concord_http_requests_total{route="POST /store",status="2xx"}'), 1);
  t.is(value(ofA, 'concord_http_requests_total{route="POST /store",status="4xx"}'), 1);
  t.is(value(ofA, 'concord_http_requests_total{route="GET /store/key",status="4xx"}'), 2);
  t.is(value(ofA, 'concord_http_request_duration_seconds_count{route="GET /store/key"}'), 3);
  t.is(value(ofA, 'concord_http_request_duration_seconds_bucket{route="GET /store/key",le="+Inf"}'), 3);
  t.true(value(ofA, 'concord_http_request_duration_seconds_sum{route="GET /store/key"}')! > 0);
  t.is(value(ofA, 'concord_refused_total{source="http",reason="malformed"}'), 1, "a key that is not there is nothing refused");
  t.is(value(ofB, 'concord_refused_total{source="http",reason="malformed"}'), undefined, "each node counts for itself");
  t.is(value(ofA, 'concord_peers{status="alive"}'), 1);
  t.is(value(ofA, `concord_peer_up{peer="${b!.address}"}`), 1);
  t.is(value(ofA, `concord_peer_lag_seconds{peer="${b!.address}"}`), 0);
  t.true(value(ofA, `concord_peer_round_trip_seconds{peer="${b!.address}"}`)! > 0);
  const repairs = [...ofB].filter(([sample]) => sample.startsWith("concord_repairs_total{")).map(([sample]) => sample);
  t.true(
    repairs.some((sample) => /kind="(delta|full)",result="joined"/.test(sample)),
    repairs.join(),
  );
  t.true(value(ofB, 'concord_repair_bytes_total{direction="in"}')! > 0);
  t.true(value(ofA, 'concord_repair_bytes_total{direction="out"}')! > 0);
  for (const of of [ofA, ofB]) {
    t.deepEqual([value(of, "concord_keys"), value(of, "concord_values"), value(of, "concord_siblings")], [2, 3, 1]);
    t.is(value(of, "concord_ready"), 1);
    t.true(value(of, "concord_inbox_length")! >= 0);
    t.true(value(of, 'concord_event_loop_lag_seconds{quantile="0.99"}')! >= 0);
    t.true(value(of, "concord_resident_memory_bytes")! > 10_000_000);
  }
  const again = await metricsOf(t, a!.url);
  t.is(value(again, 'concord_http_requests_total{route="GET /metrics",status="2xx"}'), 1, "the last look is in");
});

test("a peer that is away and differs lags, and its state is told", async (t) => {
  const node = await startTestNode(t, { peers: ["http://localhost:1"] });
  await node.ready;
  await node.kv.write([{ key: "k", value: Buffer.from("1") }]);
  const metrics = await metricsOf(t, node.url);
  t.is(metrics.get('concord_peers{status="dead"}'), 1);
  t.is(metrics.get('concord_peer_up{peer="http://localhost:1"}'), 0);
  t.true(metrics.get('concord_peer_lag_seconds{peer="http://localhost:1"}')! > 0);
});
