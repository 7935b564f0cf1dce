/**
 * Okra: a prolly tree, that is a tree over the sorted keys whose pages are cut where hashes say so, so that equal ranges have equal
 * pages on both sides; a comparison walks down where they differ. Its package is the tree and the walk (`sync`) over a local and a
 * remote tree. It has no network and no rule for who is right. Both are added here in the way that costs it least:
 *
 * - The tree holds of each key the stamp of its last write, nine bytes, and not the value, which would travel with every page. Leaves
 *   travel as keys and stamps, because their hashes follow from them; inner nodes as first keys and hashes. Binary frames on one socket.
 * - Side b walks. For each key that differs the later stamp wins; b then asks for the values that it lacks, and sends those that a lacks.
 * - A deletion is a stamp, marked, that stays in the tree for ever: without it the walk could not tell it from a key that is new.
 *
 * The walk is the package's own, one page a round trip, which costs time on a real network that this machine does not show.
 */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { sync, type Key, type Node, type SyncSource } from "@canvas-js/okra";
import { Tree } from "@canvas-js/okra-memory";
import { startCountingProxy } from "../../support/counting-proxy.ts";
import { FrameReader, readNode, readNodes, readRecords, writeNode, writeNodes, writeRecords, type OkraRecord } from "./okra-frames.ts";
import { startWatch, untilQuiet, type Measured, type System } from "./system.ts";
import type { Change, Side } from "./workload.ts";

interface OkraSide {
  tree: Tree;
  readonly values: Map<string, string>;
}

const ASK = { root: 0, children: 1, values: 2, take: 3 } as const;
const NO_KEY = new Uint8Array();

export async function createOkra(): Promise<System> {
  const sides: Readonly<Record<Side, OkraSide>> = { a: newSide(), b: newSide() };
  let clock = 1;
  let messages = 0;
  const server = createServer((socket) => serve(socket, sides.a, () => messages++));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const link = await startCountingProxy(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const bytes = (): number => link.bytes().up + link.bytes().down;

  return {
    async load(before) {
      const stamp = stampOf(clock, "a", false);
      for (const side of Object.values(sides)) {
        for (const [key, value] of before) side.values.set(key, value);
        side.tree = await Tree.fromEntries(
          {},
          asyncOf([...before.keys()].map((key) => [Buffer.from(key), stamp] as [Uint8Array, Uint8Array])),
        );
      }
    },
    async change(side, changes) {
      clock++;
      await apply(
        sides[side],
        changes.map((change) => ({ ...change, stamp: stampOf(clock, side, change.value === undefined) })),
      );
    },
    async reconcile(): Promise<Measured> {
      const watch = startWatch();
      const socket = connect(link.port, "127.0.0.1").setNoDelay(true);
      await once(socket, "connect");
      await reconcileFrom(sides.b, asker(socket));
      const times = watch();
      await untilQuiet(bytes);
      socket.destroy();
      return { bytes: bytes(), messages: 2 * messages, ...times };
    },
    contents: async (side) => sides[side].values,
    async close() {
      server.close();
      await link.close();
    },
  };
}

type Ask = (kind: number, body: Uint8Array) => Promise<Uint8Array>;

async function reconcileFrom(mine: OkraSide, ask: Ask): Promise<void> {
  const remote: SyncSource = {
    getRoot: async () => readNode(await ask(ASK.root, NO_KEY)),
    getChildren: async (level: number, key: Key): Promise<Node[]> =>
      readNodes(await ask(ASK.children, Buffer.concat([Uint8Array.of(level), key ?? NO_KEY])), level - 1),
    // Asked of the local tree alone.
    getNode: () => null,
  };
  const wanted: Uint8Array[] = [];
  const theyLack: OkraRecord[] = [];
  await mine.tree.read(async (local) => {
    for await (const { key, source, target } of sync(remote, local)) {
      if (target === null || (source !== null && Buffer.compare(source, target) > 0)) wanted.push(key);
      else theyLack.push(recordOf(mine, key, target));
    }
  });
  if (wanted.length > 0) await apply(mine, readRecords(await ask(ASK.values, Buffer.from(JSON.stringify(wanted.map(textOf))))));
  if (theyLack.length > 0) await ask(ASK.take, writeRecords(theyLack));
}

function serve(socket: Socket, side: OkraSide, count: () => void): void {
  const answerTo = async (frame: Buffer): Promise<Uint8Array> => {
    const body = frame.subarray(1);
    switch (frame[0]) {
      case ASK.root:
        return side.tree.read((tree) => writeNode(tree.getRoot()));
      case ASK.children:
        return side.tree.read((tree) => writeNodes(tree.getChildren(body[0]!, body.length === 1 ? null : body.subarray(1))));
      case ASK.values: {
        const keys = (JSON.parse(body.toString()) as string[]).map((key) => Buffer.from(key));
        return side.tree.read((tree) => writeRecords(keys.map((key) => recordOf(side, key, tree.get(key)!))));
      }
      default:
        await apply(side, readRecords(body));
        return NO_KEY;
    }
  };
  const reader = new FrameReader(socket, (frame) => {
    count();
    void answerTo(frame).then((answer) => reader.send(answer));
  });
}

/** One question at a time, as the walk asks them. */
function asker(socket: Socket): Ask {
  let answered: (frame: Buffer) => void = () => undefined;
  const reader = new FrameReader(socket, (frame) => answered(frame));
  return (kind, body) => {
    reader.send(Buffer.concat([Uint8Array.of(kind), body]));
    return new Promise((resolve) => (answered = resolve));
  };
}

function newSide(): OkraSide {
  return { tree: new Tree(), values: new Map() };
}

async function apply({ tree, values }: OkraSide, records: readonly (Change & { readonly stamp: Uint8Array })[]): Promise<void> {
  await tree.write((transaction) => {
    for (const { key, value, stamp } of records) {
      transaction.set(Buffer.from(key), stamp);
      if (value === undefined) values.delete(key);
      else values.set(key, value);
    }
  });
}

function recordOf({ values }: OkraSide, key: Uint8Array, stamp: Uint8Array): OkraRecord {
  return { key: textOf(key), value: values.get(textOf(key)), stamp };
}

/** Of two, the later write's is greater as a string of bytes. */
function stampOf(time: number, side: Side, deleted: boolean): Uint8Array {
  const stamp = Buffer.alloc(9);
  stamp.writeUIntBE(time, 0, 6);
  stamp.write(side, 6);
  stamp[8] = deleted ? 1 : 0;
  return stamp;
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key).toString();
}

async function* asyncOf<T>(all: Iterable<T>): AsyncGenerator<T> {
  for (const each of all) yield each;
}
