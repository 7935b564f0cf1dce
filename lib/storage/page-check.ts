/**
 * Reads the pages of an lmdb file without lmdb, and looks whether they are a tree.
 *
 * lmdb trusts its file. A flipped bit in a value is harmless, for the record's checksum finds it. One in the size of a record is not: the
 * record still looks like a damaged one, but to remove it lmdb moves its neighbours by that size, over the end of the page and
 * into the memory of the process. A bit in the list of free pages makes lmdb write over pages that are in use. Neither shows when the
 * file is read from end to end. So the structure is checked before lmdb opens the file: every page is where it says that it is, its
 * records fill it without gap or overlap, keys are in order and within the bounds that the page above states, nothing is reached
 * twice, and no page that is in use is free as well.
 *
 * The format is that of lmdb-js 3 (data version 2). A file of another version is not judged.
 */
import { readSync } from "node:fs";
import { open } from "node:fs/promises";

const HEADER_BYTES = 24;
const NODE_BYTES = 8;
/** In a record that lies on pages of its own: where, since when, and how many. */
const OVERFLOW_BYTES = 24;
const META_MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const [BRANCH, LEAF, OVERFLOW] = [1, 2, 4];
const KINDS = BRANCH | LEAF | OVERFLOW | 0x08 | 0x20 | 0x40;
const BIG = 1;
const NO_PAGE = 0xffff_ffff_ffff_ffffn;
/** Deeper than any tree of 2^48 pages. */
const DEPTH_MAX = 32;
/** Pages between two looks at the clock. */
const PAGES_PER_LOOK = 256;

/** Says what is wrong with the file's structure; undefined when nothing is, or when the time is over. */
export async function checkPages(path: string, withinMs: number): Promise<string | undefined> {
  const file = await open(path, "r");
  try {
    const meta = readMeta(file.fd);
    if (meta === undefined) return undefined;
    return await new Check(file.fd, meta, performance.now() + withinMs).run();
  } catch (error) {
    if (error instanceof BrokenPage) return error.message;
    throw error;
  } finally {
    await file.close();
  }
}

interface Meta {
  readonly pageBytes: number;
  readonly lastPage: number;
  readonly freeRoot: bigint;
  readonly mainRoot: bigint;
  readonly mainEntries: bigint;
}

class BrokenPage extends Error {}

class TimeIsOver extends Error {}

/** What lmdb takes: the later of the two. */
function readMeta(file: number): Meta | undefined {
  const head = readAt(file, 0, 52);
  const pageBytes = head.readUInt32LE(48);
  if (pageBytes < 512 || pageBytes > 65_536) return undefined;
  let latest: { readonly txn: bigint; readonly meta: Meta } | undefined;
  for (const page of [0, 1]) {
    const bytes = readAt(file, page * pageBytes, 160);
    if (bytes.readUInt32LE(24) !== META_MAGIC || bytes.readUInt32LE(28) !== DATA_VERSION) return undefined;
    const txn = bytes.readBigUInt64LE(152);
    if (latest !== undefined && txn <= latest.txn) continue;
    const lastPage = Number(bytes.readBigUInt64LE(144));
    const freeRoot = bytes.readBigUInt64LE(88);
    latest = {
      txn,
      meta: { pageBytes, lastPage, freeRoot, mainRoot: bytes.readBigUInt64LE(136), mainEntries: bytes.readBigUInt64LE(128) },
    };
  }
  return latest?.meta;
}

/** At once: a page lies in the system's cache more often than not, and a million promises take longer than the pages. */
function readAt(file: number, at: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  if (readSync(file, bytes, 0, length, at) < length) throw new BrokenPage("the file ends within a page");
  return bytes;
}

/** A record of a leaf, or the way from a branch to a page below. */
interface PageNode {
  readonly key: Buffer;
  readonly data: Buffer;
  readonly flags: number;
  readonly child: number;
  readonly dataBytes: number;
}

interface Bounds {
  readonly from: Buffer | undefined;
  readonly to: Buffer | undefined;
}

class Check {
  readonly #file: number;
  readonly #meta: Meta;
  readonly #endMs: number;
  readonly #used = new Set<number>();
  #pages = 0;
  #entries = 0;

  constructor(file: number, meta: Meta, endMs: number) {
    this.#file = file;
    this.#meta = meta;
    this.#endMs = endMs;
  }

  async run(): Promise<string | undefined> {
    const { mainRoot, freeRoot, mainEntries } = this.#meta;
    try {
      if (mainRoot !== NO_PAGE)
        await this.#walk(this.#number(mainRoot), 1, { from: undefined, to: undefined }, compareBytes, () => this.#entries++);
      if (BigInt(this.#entries) !== mainEntries) throw new BrokenPage(`${this.#entries} records are there where ${mainEntries} should be`);
      const free: Buffer[] = [];
      if (freeRoot !== NO_PAGE) {
        await this.#walk(this.#number(freeRoot), 1, { from: undefined, to: undefined }, compareNumbers, ({ data }) => free.push(data));
      }
      for (const list of free) this.#checkFree(list);
    } catch (error) {
      if (error instanceof TimeIsOver) return undefined;
      throw error;
    }
    return undefined;
  }

  async #walk(
    page: number,
    depth: number,
    bounds: Bounds,
    compare: (a: Buffer, b: Buffer) => number,
    leaf: (node: PageNode) => void,
  ): Promise<void> {
    if (depth > DEPTH_MAX) throw new BrokenPage("the tree has no end");
    const bytes = await this.#read(page);
    const kind = bytes.readUInt16LE(18) & KINDS;
    if (kind !== BRANCH && kind !== LEAF) throw new BrokenPage(`page ${page} is of no kind that belongs there`);
    const nodes = nodesOf(page, bytes, kind === BRANCH);
    // The first key of a branch is not used, and may be anything.
    const keys = nodes.slice(kind === BRANCH ? 1 : 0).map(({ key }) => key);
    keys.forEach((key, i) => {
      const isInOrder = i === 0 ? bounds.from === undefined || compare(key, bounds.from) >= 0 : compare(keys[i - 1]!, key) < 0;
      if (!isInOrder || (bounds.to !== undefined && compare(key, bounds.to) >= 0))
        throw new BrokenPage(`page ${page} has keys out of order`);
    });
    for (const [i, node] of nodes.entries()) {
      if (kind === BRANCH) {
        const from = i === 0 ? bounds.from : node.key;
        await this.#walk(node.child, depth + 1, { from, to: nodes[i + 1]?.key ?? bounds.to }, compare, leaf);
      } else if (node.flags === BIG) {
        leaf({ ...node, data: await this.#overflow(node) });
      } else leaf(node);
    }
  }

  /** A record on pages of its own. What lies on them is for its checksum to judge. */
  async #overflow({ data, dataBytes }: PageNode): Promise<Buffer> {
    const first = this.#number(data.readBigUInt64LE(0));
    const count = this.#number(data.readBigUInt64LE(16));
    const { pageBytes, lastPage } = this.#meta;
    const needed = Math.floor((HEADER_BYTES - 1 + dataBytes) / pageBytes) + 1;
    // A value that took the place of a larger one keeps its pages.
    if (count < needed || first + count - 1 > lastPage) throw new BrokenPage(`a record on page ${first} has ${count} pages of ${needed}`);
    const head = await this.#read(first);
    if ((head.readUInt16LE(18) & KINDS) !== OVERFLOW || head.readUInt32LE(20) !== count) {
      throw new BrokenPage(`page ${first} does not begin a large record`);
    }
    for (let page = first + 1; page < first + count; page++) this.#use(page);
    return readAt(this.#file, first * pageBytes + HEADER_BYTES, dataBytes);
  }

  /** A count, then pages: a number, or less than 0 for how many follow from the number after it. 0 is an empty place. */
  #checkFree(list: Buffer): void {
    const places = list.length >= 8 ? Number(list.readBigInt64LE(0)) : -1;
    if (places < 0 || 8 * (places + 1) > list.length) throw new BrokenPage("the list of free pages is not as long as it says");
    for (let i = 1; i <= places; i++) {
      const entry = Number(list.readBigInt64LE(8 * i));
      if (entry === 0) continue;
      const first = entry < 0 ? Number(list.readBigInt64LE(8 * ++i)) : entry;
      const count = entry < 0 ? -entry : 1;
      if (i > places || first < 2 || count > this.#meta.lastPage || first + count - 1 > this.#meta.lastPage) {
        throw new BrokenPage("the list of free pages names pages that are not there");
      }
      for (let page = first; page < first + count; page++) this.#use(page);
    }
  }

  async #read(page: number): Promise<Buffer> {
    if (++this.#pages % PAGES_PER_LOOK === 0) {
      if (performance.now() > this.#endMs) throw new TimeIsOver();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#use(page);
    const bytes = readAt(this.#file, page * this.#meta.pageBytes, this.#meta.pageBytes);
    if (bytes.readBigUInt64LE(0) !== BigInt(page)) throw new BrokenPage(`page ${page} says that it is another one`);
    return bytes;
  }

  #use(page: number): void {
    if (page < 2 || page > this.#meta.lastPage) throw new BrokenPage(`there is no page ${page}`);
    if (this.#used.has(page)) throw new BrokenPage(`page ${page} is used twice`);
    this.#used.add(page);
  }

  #number(page: bigint): number {
    if (page > BigInt(this.#meta.lastPage)) throw new BrokenPage(`there is no page ${page}`);
    return Number(page);
  }
}

/** The records of a page, which fill it from `upper` to its end. */
function nodesOf(page: number, bytes: Buffer, isBranch: boolean): PageNode[] {
  const lower = bytes.readUInt16LE(20);
  const upper = bytes.readUInt16LE(22);
  const room = bytes.length - HEADER_BYTES;
  if (lower % 2 !== 0 || lower > upper || upper > room) throw new BrokenPage(`page ${page} states bounds that it cannot have`);
  const nodes: PageNode[] = [];
  const spans: [number, number][] = [];
  for (let i = 0; i < lower / 2; i++) {
    const at = bytes.readUInt16LE(HEADER_BYTES + 2 * i);
    if (at < upper || at + NODE_BYTES > room) throw new BrokenPage(`page ${page} has a record outside of its bounds`);
    const begin = HEADER_BYTES + at;
    const [low, flags, keyBytes] = [bytes.readUInt32LE(begin), bytes.readUInt16LE(begin + 4), bytes.readUInt16LE(begin + 6)];
    if (!isBranch && flags > BIG) throw new BrokenPage(`page ${page} has a record of an unknown kind`);
    const dataBytes = isBranch ? 0 : flags === BIG ? OVERFLOW_BYTES : low;
    const bytesTaken = NODE_BYTES + keyBytes + dataBytes;
    const taken = bytesTaken + (bytesTaken % 2);
    if (at + taken > room) throw new BrokenPage(`page ${page} has a record that is larger than the page`);
    spans.push([at, at + taken]);
    const key = bytes.subarray(begin + NODE_BYTES, begin + NODE_BYTES + keyBytes);
    const data = bytes.subarray(begin + NODE_BYTES + keyBytes, begin + bytesTaken);
    nodes.push({ key, data, flags: isBranch ? 0 : flags, child: isBranch ? low + flags * 2 ** 32 : 0, dataBytes: low });
  }
  let next = upper;
  for (const [from, to] of spans.sort(([a], [b]) => a - b)) {
    if (from !== next) throw new BrokenPage(`page ${page} has records that overlap, or a gap between them`);
    next = to;
  }
  if (next !== room) throw new BrokenPage(`page ${page} has a gap at its end`);
  return nodes;
}

function compareBytes(a: Buffer, b: Buffer): number {
  return Buffer.compare(a, b);
}

/** Keys of the list of free pages are numbers, in the order of this machine. */
function compareNumbers(a: Buffer, b: Buffer): number {
  if (a.length !== 8 || b.length !== 8) throw new BrokenPage("the list of free pages has a key that is no number");
  const [one, other] = [a.readBigUInt64LE(0), b.readBigUInt64LE(0)];
  return one < other ? -1 : one > other ? 1 : 0;
}
