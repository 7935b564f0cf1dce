/** The one look a second that cuts what makes no progress, and leaves alone what does. */
import { createServer, get, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type ExecutionContext } from "ava";
import { createDeadlines } from "../../lib/api/deadlines.ts";
import { send } from "../support/http.ts";
import { pause } from "../support/nodes.ts";

async function start(t: ExecutionContext, handler: RequestListener, limitMs = 1_000): Promise<string> {
  const server = createServer();
  const deadlines = createDeadlines(server, limitMs);
  server.on("request", (incoming, outgoing) => {
    deadlines.watch(outgoing);
    handler(incoming, outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    deadlines.stop();
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("a handler that never answers is answered for", async (t) => {
  const url = await start(t, () => undefined);
  const { status, json, headers } = await send(url, "GET", "/");
  t.deepEqual([status, headers.connection], [503, "close"]);
  t.regex((json as { error: string }).error, /took too long/);
});

test("a handler that comes back after it was answered for does no harm", async (t) => {
  let late: (() => void) | undefined;
  const url = await start(t, (incoming, outgoing) => {
    if (incoming.url === "/hang") late = () => void outgoing.writeHead(200, { "x-late": "1" }).end("late");
    else outgoing.end("fine");
  });
  t.is((await send(url, "GET", "/hang")).status, 503);
  late?.();
  await pause(50);
  t.is((await send(url, "GET", "/")).text, "fine");
});

test("an answer that keeps coming is not cut, however long it takes", async (t) => {
  const url = await start(t, (_incoming, outgoing) => {
    let left = 12;
    const timer = setInterval(() => {
      outgoing.write("x");
      if (--left > 0) return;
      clearInterval(timer);
      outgoing.end();
    }, 300);
  });
  t.is((await send(url, "GET", "/")).text.length, 12);
});

test("a client that reads a large answer slowly is not cut, although it was written in one go", async (t) => {
  const bytes = 24 * 1024 * 1024;
  const url = await start(t, (_incoming, outgoing) => void outgoing.end(Buffer.alloc(bytes)));
  let received = 0;
  let pauses = 0;
  await new Promise<void>((resolve, reject) => {
    const request = get(url, { agent: false }, (incoming) => {
      incoming.on("data", (chunk: Buffer) => {
        received += chunk.length;
        if (received < (pauses + 1) * 3 * 1024 * 1024) return;
        pauses++;
        incoming.pause();
        setTimeout(() => incoming.resume(), 700);
      });
      incoming.on("end", resolve).on("error", reject);
    });
    request.on("error", reject);
  });
  t.deepEqual([received, pauses], [bytes, 8]);
});

test("a client that stops reading is cut", async (t) => {
  let cut: () => void;
  const closed = new Promise<void>((resolve) => (cut = resolve));
  const url = await start(t, (_incoming, outgoing) => {
    const pump = (): void => {
      while (outgoing.write(Buffer.alloc(65_536)));
    };
    outgoing.on("drain", pump).on("close", () => cut());
    pump();
  });
  const request = get(url, { agent: false }, (incoming) => void incoming.pause());
  request.on("error", () => undefined);
  t.teardown(() => request.destroy());
  await closed;
  t.false(request.destroyed, "it was the server that let go");
});
