/**
 * Two real nodes that know each other under the addresses of counting proxies, and the cases whose bytes are counted: by
 * test/cluster/wire.test.ts with small stores, by test/bench/wire.ts with large ones.
 */
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { META } from "../../lib/core/layout.ts";
import type { RepairReceipt } from "../../lib/core/output.ts";
import { openDiskStorage } from "../../lib/storage/disk.ts";
import { freePorts, putAll, sameHash, temporaryFolder, TestNode, waitFor, type Teardown } from "../cluster/support.ts";
import { openReadingProxy, PINGS, REPAIR, sumOf, type ReadingProxy, type Crossing, type Sums } from "./reading-proxy.ts";

export interface Counted {
  /** Every byte, both directions, from the return of the node that was away until both hashes are the same. */
  readonly allBytes: number;
  readonly pings: Sums;
  /** What the returning node asked for and was answered. */
  readonly repair: Sums;
  /** The same the other way round. */
  readonly repairBack: Sums;
  readonly receipt: RepairReceipt;
  readonly took: number;
}

/** Values of a hundred bytes: what the cases say does not depend on it, as entries are counted apart. */
const VALUE = "v".repeat(98);

/** Pairs of one request. */
const LOAD_TOGETHER = 20_000;

/** Deletions under way at once. */
const DELETES_TOGETHER = 32;

export interface WireOptions {
  /** So many of the keys are written twice. */
  readonly again?: number;
  /** Neither has a folder: whoever starts again is empty. */
  readonly memory?: boolean;
  /** A program before node. */
  readonly wrap?: readonly string[];
}

export class Wire {
  readonly stays: TestNode;
  readonly returns: TestNode;
  readonly toStays: ReadingProxy;
  readonly toReturns: ReadingProxy;
  readonly #home: string;
  readonly #wrap: readonly string[];
  #writes = 0;

  private constructor(
    nodes: readonly [TestNode, TestNode],
    proxies: readonly [ReadingProxy, ReadingProxy],
    home: string,
    wrap: readonly string[],
  ) {
    [this.stays, this.returns] = nodes;
    [this.toStays, this.toReturns] = proxies;
    this.#home = home;
    this.#wrap = wrap;
  }

  /** Two nodes that hold so many keys. */
  static async create(t: Teardown, keys: number, { again = 0, memory = false, wrap = [] }: WireOptions = {}): Promise<Wire> {
    const ports = (await freePorts(2)) as [number, number];
    const proxies = [await openReadingProxy(ports[0]), await openReadingProxy(ports[1])] as const;
    for (const proxy of proxies) t.teardown(() => proxy.close());
    const home = await temporaryFolder(t);
    const node = (i: 0 | 1, name: string): TestNode =>
      new TestNode(t, ports[i], {
        name,
        folder: memory ? undefined : join(home, name),
        peers: [proxies[1 - i]!.url],
        address: proxies[i].url,
        pingfreq: 10,
        timeout: 15,
      });
    const wire = new Wire([node(0, "stays"), node(1, "returns")], proxies, home, wrap);
    await wire.start(wire.stays);
    await wire.write(0, keys);
    for (let n = 0; n < again; n += LOAD_TOGETHER) {
      // Spread over the whole store, so that the context of its entries has gaps everywhere.
      await wire.write(0, Math.min(LOAD_TOGETHER, again - n), (i) => Math.floor(((n + i) * keys) / again));
    }
    if (memory) {
      await wire.start(wire.returns);
      await wire.same(600_000);
      return wire;
    }
    // The other begins as a copy: to join takes half a minute with a million keys.
    await wire.stays.end("SIGTERM");
    await cp(join(home, "stays"), join(home, "returns"), { recursive: true });
    await wire.start(wire.stays);
    await wire.start(wire.returns);
    return wire;
  }

  async start(node: TestNode): Promise<void> {
    await node.start({ wrap: this.#wrap });
  }

  /** Writes keys of the node that stays, new values each time. */
  async write(from: number, count: number, keyOf = (i: number): number => from + i): Promise<void> {
    const round = this.#writes++;
    for (let done = 0; done < count; done += LOAD_TOGETHER) {
      const size = Math.min(LOAD_TOGETHER, count - done);
      const pairs = Array.from({ length: size }, (_, i) => ({ key: `key-${keyOf(done + i)}`, value: `${round}${VALUE}` }));
      await putAll(this.stays, pairs);
    }
  }

  /** Deletes keys of the node that stays. */
  async remove(count: number, keyOf: (i: number) => number): Promise<void> {
    for (let done = 0; done < count; done += DELETES_TOGETHER) {
      const keys = Array.from({ length: Math.min(DELETES_TOGETHER, count - done) }, (_, i) => `key-${keyOf(done + i)}`);
      await Promise.all(keys.map((key) => this.stays.client.delete(key)));
    }
  }

  /** The network between them fails, this happens, it heals: as `outage`, and both are the same processes as before. */
  async split(meanwhile: () => Promise<void>): Promise<Counted> {
    const links = [this.toStays, this.toReturns];
    const isAlone = async (node: TestNode): Promise<boolean> => (await node.status())?.peers[0]?.status === "dead";
    await Promise.all(links.map((link) => link.cut()));
    await waitFor("the split to be noticed", () => isAlone(this.returns), { nodes: [this.returns], withinMs: 60_000 });
    const since = (await this.returns.client.status()).lastRepair?.endedMs ?? 0;
    await meanwhile();
    await waitFor("the split to be noticed", () => isAlone(this.stays), { nodes: [this.stays], withinMs: 60_000 });
    this.reset();
    const startedMs = performance.now();
    await Promise.all(links.map((link) => link.heal()));
    await this.same(600_000);
    return this.counted(performance.now() - startedMs, since);
  }

  /** One node goes, this happens, it comes back: what crosses the wire until both hold the same. */
  async outage(meanwhile: () => Promise<void>): Promise<Counted> {
    await this.returns.end("SIGTERM");
    await meanwhile();
    this.reset();
    const startedMs = performance.now();
    await this.returns.launch({ wrap: this.#wrap });
    await this.same(600_000);
    return this.counted(performance.now() - startedMs);
  }

  reset(): void {
    this.toStays.reset();
    this.toReturns.reset();
  }

  async same(withinMs = 60_000): Promise<void> {
    await sameHash([this.stays, this.returns], withinMs);
  }

  /** Both know that they are: nothing but pings is to be said. */
  async inSync(): Promise<void> {
    const nodes = [this.stays, this.returns];
    const knows = async (node: TestNode): Promise<boolean> => (await node.status())?.peers[0]?.inSync === true;
    await waitFor("both to know that they hold the same", async () => (await Promise.all(nodes.map(knows))).every(Boolean), {
      nodes,
      withinMs: 60_000,
    });
    this.reset();
  }

  /** `since`: when the last repair before this one ended. */
  async counted(took: number, since = 0): Promise<Counted> {
    const crossings: readonly Crossing[] = [...this.toStays.crossings, ...this.toReturns.crossings];
    const allBytes = this.toStays.bytes + this.toReturns.bytes;
    const [pings, repair, repairBack] = [
      sumOf(crossings, PINGS),
      sumOf(this.toStays.crossings, REPAIR),
      sumOf(this.toReturns.crossings, REPAIR),
    ];
    const repaired = async (): Promise<RepairReceipt | undefined> => {
      const status = await this.returns.status();
      const last = status?.repairingWith === undefined ? status?.lastRepair : undefined;
      return last !== undefined && last.endedMs > since ? last : undefined;
    };
    const receipt = await waitFor("the receipt", repaired, { nodes: [this.stays, this.returns], withinMs: 120_000 });
    return { allBytes, pings, repair, repairBack, receipt, took };
  }

  /** The node that stays starts again: it remembers no deletion. */
  async forget(): Promise<void> {
    await this.stays.end("SIGTERM");
    await this.start(this.stays);
    await waitFor("its sketch to be built", () => this.stays.status().then((status) => status?.sketchReady === true), {
      withinMs: 120_000,
    });
  }

  /** The node that is away loses its own record, and with it its context: it will rebuild both from its entries. */
  async loseContext(): Promise<void> {
    const storage = await openDiskStorage({ folder: join(this.#home, "returns") });
    await storage.write([{ key: META, value: undefined }]);
    await storage.close();
  }

  /** The node that is away loses everything. */
  async empty(): Promise<void> {
    await rm(join(this.#home, "returns"), { recursive: true });
  }
}
