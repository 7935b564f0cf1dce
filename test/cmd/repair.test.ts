/** `concord repair` against real nodes of this process: what it prints, what it refuses, and that a dry run changes nothing. */
import test, { type ExecutionContext } from "ava";
import { renderComparison, repair, repairToEnd } from "../../cmd/repair.ts";
import { createClient, type Comparison, type NodeReport, type RepairReceipt } from "../../lib/client.ts";
import { startNode, type RunningNode } from "../../lib/serve.ts";
import { send } from "../support/http.ts";
import { freePorts, until } from "../support/nodes.ts";
import { runCommand, type Run } from "./terminal.ts";

interface Pair {
  readonly a: RunningNode;
  readonly b: RunningNode;
  readonly run: (...argv: string[]) => Promise<Run>;
}

const HOUR_MS = 3_600_000;

async function put(node: RunningNode, prefix: string, count: number): Promise<void> {
  const operations = Array.from({ length: count }, (_, i) => ({ key: `${prefix}${i}`, value: Buffer.from(`"${prefix}"`) }));
  await node.kv.write(operations, { local: true });
}

/** Two nodes that have met, hold the same, and do nothing by themselves any more. */
async function createPair(t: ExecutionContext): Promise<Pair> {
  const [portA, portB] = (await freePorts(2)) as [number, number];
  const start = async (name: string, port: number, peer: number): Promise<RunningNode> => {
    const address = `http://localhost:${peer}`;
    const options = { pingEveryMs: HOUR_MS, timeoutMs: HOUR_MS, createTicker: () => ({ stop: () => undefined }) };
    const node = await startNode({ name, port, peers: [address], log: { silent: true }, ...options });
    t.teardown(() => node.stop());
    return node;
  };
  const a = await start("a", portA, portB);
  await put(a, "shared", 20);
  const b = await start("b", portB, portA);
  await until(t, "both hold the same", () => a.kv.hash() === b.kv.hash());
  await until(t, "a sees b", () => a.kv.status().peers[0]?.status === "alive");
  await until(t, "b is done", () => b.kv.status().repairingWith === undefined);
  return { a, b, run: (...argv) => runCommand(repair, [`--node=${a.url}`, ...argv], { env: {} }) };
}

test("a dry run says what each side would gain and changes nothing; then it is done, with a receipt", async (t) => {
  const { a, b, run } = await createPair(t);
  await put(a, "new-at-a", 3);
  await put(b, "new-at-b", 5);
  await put(b, "shared", 2);
  await b.kv.write([{ key: "shared9", value: undefined }], { local: true });
  const before = [a.kv.hash(), b.kv.hash()];

  const dry = await run(`--peer=${b.address}`, "--dry-run");
  t.deepEqual([dry.exitCode, dry.failure], [0, ""]);
  t.regex(dry.stdout, new RegExp(`^${a.url} would receive 7 values and remove 3\n${b.address} would receive 3 values and remove 0\n`));
  t.regex(dry.stdout, /\(1 request, \d+ bytes; nothing was changed\)\n$/);
  const { sides } = JSON.parse((await run("--peer=b", "--dry-run", "--json")).stdout) as Comparison;
  t.deepEqual(sides, { here: { receives: 7, removes: 3 }, peer: { receives: 3, removes: 0 } });
  t.deepEqual([a.kv.hash(), b.kv.hash()], before);

  const done = await run("--peer=b");
  t.deepEqual([done.exitCode, done.failure], [0, ""]);
  const [first, second, third, fourth] = done.stdout.split("\n");
  t.is(first, `from ${b.address} by delta: complete`);
  t.is(second, "delta, because the contexts tell what is missing");
  t.is(third, "13 values differed: 8 entries received, 0 values removed");
  t.is(fourth, "the peer lacks 3 values of this node, and asks for them itself");
  const again = JSON.parse((await run("--peer=b", "--json")).stdout) as RepairReceipt;
  t.like(again, { result: "joined", entriesIn: 0, differences: 3, peer: b.address });

  t.like(await createClient({ node: b.url }).repair(a.address), { result: "joined", entriesIn: 3 });
  t.is(a.kv.hash(), b.kv.hash());
  t.regex((await run("--peer=b", "--dry-run")).stdout, /^both hold the same \(1 request/);
});

test("only peers that the node knows are talked to, and one that is down is said to be", async (t) => {
  const { a, b, run } = await createPair(t);
  const stranger = await run("--peer=http://localhost:1");
  t.is(stranger.exitCode, 3);
  t.regex(stranger.failure, new RegExp(`http://localhost:1 is no peer of this node; its peers are ${b.address}`));
  t.regex((await run("--peer=http://localhost:1", "--dry-run")).failure, /is no peer of this node/);
  await b.stop();
  await put(a, "k", 1);
  await a.kv.write([{ key: "pushed", value: Buffer.from("1") }]);
  await until(t, "a has noticed", () => a.kv.status().peers[0]?.status === "dead");
  for (const flag of ["--dry-run", "--json"]) {
    const down = await run("--peer=b", flag);
    t.is(down.exitCode, 3);
    t.regex(down.failure, /does not answer now; a repair begins by itself when it is back/);
  }
});

test("what was typed wrong is refused before anybody is asked", async (t) => {
  const run = (...argv: string[]): Promise<Run> => runCommand(repair, argv, { env: {} });
  t.deepEqual([(await run("--peer=")).exitCode, (await run("--peer=http://localhost:8002/store")).exitCode], [2, 2]);
  t.is((await run("--dry-run", "--peer=b", "--node=http://127.0.0.1:1")).exitCode, 3);
  t.regex((await run("--help")).stdout, /concord repair --peer=http:\/\/localhost:8002 --dry-run/);
});

test("the route: parameters that are missing, unknown or of another kind", async (t) => {
  const node = await startNode({ port: 0, peers: [], log: { silent: true } });
  t.teardown(() => node.stop());
  const ask = async (query: string): Promise<readonly [number, unknown]> => {
    const { status, json } = await send(node.url, "POST", `/repair${query}`);
    return [status, json?.error];
  };
  t.deepEqual(await ask(""), [400, '"peer" is missing: /repair?peer=http://localhost:8002']);
  t.deepEqual(await ask("?peer=b&dryRun=1"), [400, '"dryRun" is true or false, not "1"']);
  t.deepEqual(await ask("?peer=b&dry=true"), [400, '"dry" is no parameter of /repair']);
  t.deepEqual(await ask("?peer=b"), [400, "b is no peer of this node; it has none"]);
  t.is((await send(node.url, "GET", "/repair?peer=b")).status, 405);
});

test("too much to compare: what the counts and contexts tell", (t) => {
  const found = { peer: "http://p", requests: 3, bytesIn: 200_000, bytesOut: 90, tookMs: 40, sides: undefined };
  const cost = "(3 requests, 200 kB; nothing was changed)\n";
  t.is(
    renderComparison({ ...found, atLeast: 20_000, atMost: 90_000 }, "http://n"),
    `at least 20000 values differ and at most 90000: too many to compare without a repair ${cost}`,
  );
  t.is(
    renderComparison({ ...found, atLeast: 1, atMost: undefined }, "http://n"),
    `at least 1 value differs: too many to compare without a repair ${cost}`,
  );
});

type Look = Partial<Pick<NodeReport, "repairingWith" | "stopped" | "uptimeMs" | "repairs">>;

/** A long repair from b, asked for after the fourth receipt; the last look stays. */
async function waitFor(looks: readonly Look[], waitMinutesMax?: number): Promise<readonly [string | undefined, readonly string[]]> {
  const told: string[] = [];
  let looked = 0;
  const client = {
    repair: () => Promise.resolve({ underWay: true, peer: "b", after: 4 } as const),
    status: () => Promise.resolve({ uptimeMs: 10, repairs: [], ...looks[Math.min(looked++, looks.length - 1)] } as unknown as NodeReport),
  };
  const patience = { lookEveryMs: 0, ...(waitMinutesMax !== undefined && { waitMinutesMax }) };
  const ended = repairToEnd(client, "node-b", (line) => told.push(line), patience);
  return [await ended.then(({ number, peer, result }) => `${number} ${peer} ${result}`, String), told];
}

const receipt = (number: number, peer: string): RepairReceipt => ({ number, peer, result: "joined", entriesIn: 0 }) as RepairReceipt;
const [WAITS, WAITS_FOR_C] = ["the repair from b waits for its turn", "the repair from b waits for its turn: one from c is under way"];

test("a long repair: its own receipt counts, not that of another peer or of before, and who waits hears what for", async (t) => {
  const earlier = [receipt(3, "b"), receipt(4, "c")];
  const looks: Look[] = [
    { repairs: earlier, repairingWith: "c" },
    { repairs: [receipt(3, "b"), receipt(5, "c")] },
    { repairs: [receipt(3, "b"), receipt(5, "c")], repairingWith: "b" },
    { repairs: [receipt(5, "c"), receipt(6, "b")] },
  ];
  t.deepEqual(await waitFor(looks), ["6 b joined", [WAITS_FOR_C, WAITS, "the repair from b is under way"]]);
});

test("a long repair of which no receipt comes: the time is over, the node was started again, or has stopped", async (t) => {
  const [late] = await waitFor([{ repairingWith: "b" }], 0);
  t.regex(late ?? "", /after 0 minutes the repair from b is under way; the node goes on: concord status --json tells how it ends/);
  t.regex((await waitFor([{}, { uptimeMs: 9 }]))[0] ?? "", /the node was started again before the repair ended/);
  t.regex((await waitFor([{ stopped: "the disk is full" }]))[0] ?? "", /the node has stopped: the disk is full/);
});
