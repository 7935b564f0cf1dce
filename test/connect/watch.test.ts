/** Watching through breaks, and the end of it. */
import type { ServerResponse } from "node:http";
import test from "ava";
import { ClientError, connect, type Change, type Watch } from "../../lib/connect.ts";
import { openStream, type Ask, type Fetch } from "../../lib/connect/exchange.ts";
import { startTestNode, until } from "../support/nodes.ts";
import { NOBODY, problem, startStub } from "./support.ts";

interface Seen {
  readonly changes: Change<unknown>[];
  readonly ended: Promise<unknown>;
}

function collect(watch: Watch<unknown>): Seen {
  const changes: Change<unknown>[] = [];
  const run = async (): Promise<void> => {
    for await (const change of watch) changes.push(change);
  };
  return { changes, ended: run().catch((error: unknown) => error) };
}

test("puts, deletions and expiries of the prefix, with values", async (t) => {
  const node = await startTestNode(t);
  const store = connect(node.url);
  const watch = store.watch({ prefix: "a/" });
  const seen = collect(watch);
  await watch.opened;
  await store.put("a/1", { x: 1 });
  await store.put("b/1", 1);
  await store.put("a/2", Uint8Array.of(0, 255), { ttlMs: 1_200 });
  await store.delete("a/1");
  await until(t, "all is told", () => seen.changes.length === 4, [node]);
  t.like(seen.changes, [
    { kind: "put", key: "a/1", value: { x: 1 }, contentType: "application/json" },
    { kind: "put", key: "a/2", value: Uint8Array.of(0, 255), contentType: "application/octet-stream" },
    { kind: "delete", key: "a/1" },
    { kind: "expire", key: "a/2" },
  ]);
  watch.close();
  t.is(await seen.ended, undefined, "a watch that is closed ends without an error");
});

test("the end of the loop, or of the signal, lets go of the connection", async (t) => {
  const open = new Set<ServerResponse>();
  const url = await startStub(t, (_, outgoing) => {
    open.add(outgoing.on("close", () => open.delete(outgoing)));
    outgoing.writeHead(200, { "content-type": "text/event-stream" }).write('id: a-1\nevent: delete\ndata: {"key":"k","token":"t"}\n\n');
  });
  for await (const change of connect(url).watch()) {
    t.deepEqual(change, { kind: "delete", key: "k", token: "t" });
    break;
  }
  await until(t, "the first is let go", () => open.size === 0);
  const controller = new AbortController();
  const reason = new Error("enough");
  const seen = collect(connect(url).watch({ signal: controller.signal }));
  await until(t, "the second is told", () => seen.changes.length === 1);
  controller.abort(reason);
  t.is(await seen.ended, reason);
  await until(t, "the second is let go", () => open.size === 0);
  const unused = connect(url).watch();
  await unused.opened;
  unused.close();
  await until(t, "one that nobody iterates over is let go", () => open.size === 0);
});

test("after a break it goes on where it was, with the last id", async (t) => {
  const node = await startTestNode(t);
  const store = connect(node.url);
  // Between the two, a server that breaks the line when it is told to.
  const lines: (string | undefined)[] = [];
  let cut: () => void = () => undefined;
  const proxy = await startStub(t, (incoming, outgoing) => {
    lines.push(incoming.headers["last-event-id"] as string | undefined);
    const controller = new AbortController();
    cut = () => {
      controller.abort();
      outgoing.destroy();
    };
    const headers = lines.at(-1) === undefined ? {} : { "last-event-id": lines.at(-1)! };
    void (async () => {
      const answer = await fetch(`${node.url}${incoming.url}`, { headers, signal: controller.signal });
      outgoing.writeHead(answer.status, { "content-type": "text/event-stream" });
      for await (const chunk of answer.body!) outgoing.write(chunk);
    })().catch(() => undefined);
  });
  const watch = connect(proxy).watch();
  const seen = collect(watch);
  await watch.opened;
  await store.put("k1", 1);
  await until(t, "the first is told", () => seen.changes.length === 1);
  cut();
  await store.put("k2", 2);
  await store.put("k3", 3);
  await until(t, "what came in between is told", () => seen.changes.length === 3);
  t.deepEqual(
    seen.changes.map((change) => "key" in change && change.key),
    ["k1", "k2", "k3"],
  );
  t.regex(lines[1] ?? "", /^[0-9a-f]{12}-\d+$/);
  watch.close();
  await seen.ended;
});

test("when the node is gone another one goes on, and says that something may be missing", async (t) => {
  const [first, second] = [await startTestNode(t), await startTestNode(t)];
  const watch = connect({ nodes: [first.url, second.url] }).watch();
  const seen = collect(watch);
  await watch.opened;
  await connect(first.url).put("k1", 1);
  await until(t, "the first is told", () => seen.changes.length === 1);
  await first.stop();
  await until(t, "the reset is told", () => seen.changes.length === 2);
  t.deepEqual(seen.changes[1], { kind: "reset" });
  await connect(second.url).put("k2", 2);
  await until(t, "the second node is watched", () => seen.changes.length === 3);
  watch.close();
  await seen.ended;
});

test("what keeps the first connection from being opened is thrown", async (t) => {
  const nowhere = connect(NOBODY).watch();
  await t.throwsAsync(nowhere.opened, { instanceOf: ClientError, code: "unreachable" });
  t.is(((await collect(nowhere).ended) as ClientError).code, "unreachable");
  const refusing = await startStub(t, (_, outgoing) => void outgoing.writeHead(400).end(problem("invalid", 400)));
  t.is(((await collect(connect(refusing).watch()).ended) as ClientError).code, "invalid");
});

const WATCH: Ask = { method: "GET", path: "/v1/watch", fine: [200] };

/** Opens it, and returns what was read and the error with which it ended. */
async function readToEnd(fetch: Fetch, url: string, silenceMsMax: number): Promise<readonly [texts: readonly string[], error: unknown]> {
  const { chunks } = await openStream({ fetch, token: undefined, timeoutMs: 10_000 }, url, WATCH, silenceMsMax);
  const texts: string[] = [];
  try {
    for await (const chunk of chunks) texts.push(new TextDecoder().decode(chunk));
  } catch (error) {
    return [texts, error];
  }
  return [texts, undefined];
}

test("a stream that falls silent is given up", async (t) => {
  const url = await startStub(t, (_, outgoing) => void outgoing.writeHead(200).write("id: a-1\n\n"));
  const [texts, error] = await readToEnd((input, init) => fetch(input, init), url, 500);
  t.is((error as Error).message, "nothing came for 0.5 s");
  t.deepEqual(texts, ["id: a-1\n\n"]);
});

/** A fetch whose body says one line and then nothing more, and, once it is aborted, does what is told. */
function fetchWith(onAbort: (body: ReadableStreamDefaultController<Uint8Array>) => void): Fetch {
  return (_, { signal }) => {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("id: a-1\n\n"));
        signal?.addEventListener("abort", () => onAbort(controller));
      },
    });
    return Promise.resolve(new Response(body));
  };
}

const AFTER_ABORT: Record<string, (body: ReadableStreamDefaultController<Uint8Array>) => void> = {
  "breaks with an error of its own": (body) => body.error(new TypeError("terminated")),
  ends: (body) => body.close(),
  "goes on as if nothing had been": () => undefined,
};

for (const [what, onAbort] of Object.entries(AFTER_ABORT)) {
  test(`a body that ${what} when it is aborted: the reason is thrown all the same`, async (t) => {
    const [texts, error] = await readToEnd(fetchWith(onAbort), NOBODY, 20);
    t.is((error as Error).message, "nothing came for 0.02 s");
    t.deepEqual(texts, ["id: a-1\n\n"]);

    const stopped = new AbortController();
    const reason = new Error("enough");
    const watch = connect({ nodes: [NOBODY], fetch: fetchWith(onAbort) }).watch({ signal: stopped.signal });
    await watch.opened;
    const { ended } = collect(watch);
    stopped.abort(reason);
    t.is(await ended, reason);
  });
}

test("a refusal whose text does not end is given up in time", async (t) => {
  const url = await startStub(t, (_, outgoing) => void outgoing.writeHead(503).write("not yet"));
  const wire = { fetch: (input: string, init: RequestInit) => fetch(input, init), token: undefined, timeoutMs: 500 };
  await t.throwsAsync(openStream(wire, url, WATCH, 10_000), { instanceOf: ClientError, code: "timeout" });
});
