/**
 * Concord's own last resort, a full push, made to run although a cheaper way would do: each side asks the other for all that it
 * holds, page by page, and merges it. The stores, the merge and the messages over HTTP are those of the nodes; the pings are left out.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { decodeSiblings } from "../../../lib/core/codec.ts";
import { decodeFrame, encodeFrame } from "../../../lib/core/frame.ts";
import { ENTRY } from "../../../lib/core/layout.ts";
import type { RepairAnswer } from "../../../lib/core/message.ts";
import { REPLICA_DEFAULTS } from "../../../lib/config.ts";
import { answerRequest } from "../../../lib/repair/answer.ts";
import { Pull, type PullResult } from "../../../lib/repair/pull.ts";
import { createHttpTransport, type HttpTransport } from "../../../lib/transport/http.ts";
import { startCountingProxy } from "../../support/counting-proxy.ts";
import { json, openTestStore, rowsOf, type TestStore } from "../../support/stores.ts";
import { parts, startWatch, untilQuiet, type Measured, type System } from "./system.ts";
import type { Change, Side } from "./workload.ts";

const WRITES = 1_000;
const HEADERS = { "content-type": "application/octet-stream" };

/** Keys of the bench are ASCII, and so their own byte strings. */
export async function createFullPush(): Promise<System> {
  const sides: Readonly<Record<Side, TestStore>> = { a: await openTestStore("a"), b: await openTestStore("b") };
  let requests = 0;
  const serve = async ({ store }: TestStore) => {
    const server = createServer((incoming, outgoing) => {
      requests++;
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("end", () => {
        const decoded = decodeFrame(Buffer.concat(chunks));
        if (!decoded.ok || decoded.message.kind !== "repair-request") throw new Error("not a request of a repair");
        outgoing.sendDate = false;
        outgoing.writeHead(200, HEADERS).end(encodeFrame(answerRequest(store, decoded.message)));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return server;
  };
  const servers = [await serve(sides.a), await serve(sides.b)];
  const links = await Promise.all(
    servers.map((server) => startCountingProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)),
  );
  const transports = links.map(({ url }) => createHttpTransport({ address: url, timeoutMs: 60_000 }));
  const bytes = (): number => links.reduce((sum, link) => sum + link.bytes().up + link.bytes().down, 0);
  /** The store asks whom this link leads to. */
  const pull = (asker: TestStore, link: number): Promise<PullResult> => pullAll(asker, links[link]!.url, transports[1 - link]!);

  return {
    async load(before) {
      const changes = [...before].map(([key, value]) => ({ key, value }));
      for (const some of parts(changes, WRITES)) await write(sides.a, some);
      await pull(sides.b, 0);
      links.forEach((link) => link.reset());
    },
    async change(side, changes) {
      for (const some of parts(changes, WRITES)) await write(sides[side], some);
    },
    async reconcile(): Promise<Measured> {
      requests = 0;
      const watch = startWatch();
      const results = [await pull(sides.a, 1), await pull(sides.b, 0)];
      const times = watch();
      await untilQuiet(bytes);
      if (results.some((result) => result !== "joined")) throw new Error(`the full pushes ended as ${results.join(" and ")}`);
      return { bytes: bytes(), messages: 2 * requests, ...times };
    },
    contents: async (side) => contentsOf(sides[side]),
    async close() {
      await Promise.all(transports.map((transport) => transport.close()));
      await Promise.all(links.map((link) => link.close()));
      for (const server of servers) server.close();
    },
  };
}

/** One full push into this store: ask, merge, persist, until it is over. */
async function pullAll({ store, persist }: TestStore, from: string, transport: HttpTransport): Promise<PullResult> {
  const pull = new Pull(store, "full", REPLICA_DEFAULTS, false);
  for (let exchange = 1; ; exchange++) {
    const answer = await new Promise<RepairAnswer>((resolve, reject) => {
      transport.attach({
        receive: (_from, message) => message.kind === "repair-answer" && resolve(message),
        unreachable: (_to, why) => reject(new Error(why)),
        speakBase: () => reject(new Error("the peer knows only the base protocol")),
      });
      transport.send(from, pull.request(exchange));
    });
    let result = pull.onAnswer(answer, Date.now(), []);
    while (result === undefined && pull.isBusy) result = pull.advance([]);
    await persist();
    if (result !== undefined) return result;
  }
}

async function write({ store, persist }: TestStore, changes: readonly Change[]): Promise<void> {
  for (const { key, value } of changes) {
    if (value === undefined) store.remove(key, undefined, Date.now());
    else store.put(key, json(JSON.stringify(value)), Date.now());
  }
  await persist();
}

function contentsOf({ store }: TestStore): Map<string, string> {
  const found = new Map<string, string>();
  for (const [row, record] of rowsOf(store.reader, ENTRY)) {
    const [sibling] = decodeSiblings(record);
    if (sibling !== undefined) found.set(row.slice(ENTRY.length), JSON.parse(Buffer.from(sibling.value).toString()) as string);
  }
  return found;
}
