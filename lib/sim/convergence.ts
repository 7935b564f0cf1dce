/** What must be true once faults have stopped: all nodes hold the same bytes, and these are what the ledger says must be there. */
import { ConcordError } from "../core/errors.ts";
import { keyFromBytes } from "../core/layout.ts";
import { sameSummary } from "../core/message.ts";
import { sharedRows } from "./disk.ts";
import type { Machine } from "./machine.ts";
import { read } from "./reading.ts";
import type { World } from "./world.ts";

/** All nodes run, nothing is on its way to a disk, or about to be, and all say that they hold the same. */
export function areEqual(machines: readonly Pick<Machine, "disk" | "store">[]): boolean {
  const [first, ...others] = machines.map(({ disk, store }) => (disk.isIdle && store?.pendingRows === 0 ? store.summary() : undefined));
  return first !== undefined && others.every((other) => other !== undefined && sameSummary(first, other));
}

export function checkConvergence(world: World, machines: readonly Machine[]): void {
  const [first, ...others] = machines as [Machine, ...Machine[]];
  const rows = sharedRows(first.disk);
  for (const other of others) {
    const theirs = sharedRows(other.disk);
    const differing = [...new Set([...rows.keys(), ...theirs.keys()])].find((key) => !sameBytes(rows.get(key), theirs.get(key)));
    if (differing !== undefined) {
      world.fail(
        "not-byte-equal",
        `${first.name} and ${other.name} say that they hold the same, and differ in ${JSON.stringify(differing)}`,
      );
    }
  }
  checkLedger(world, first);
  world.merging.checkEnd(world, (key) => machines.map((machine) => textAt(machine, key)));
  const keys = new Set(world.ledger.records.map(({ key }) => keyFromBytes(key)));
  for (const machine of machines) {
    machine.audit();
    machine.auditSketch();
    for (const key of keys) read(world, machine, key);
  }
}

/** One node speaks for all: they are equal. */
function checkLedger(world: World, { disk }: Machine): void {
  const { ledger } = world;
  const fail = (check: string, detail: string) => world.fail(check, detail);
  for (const record of ledger.records) {
    const { dot, key, fate, uncertain, state, node } = record;
    const name = `${ledger.label(dot)} of ${key}, written at ${node}`;
    const live = disk.isLive(dot);
    if (state !== "durable" && (live || disk.knows(dot))) fail("left-before-durable", `${name}, was never durable and is known to all`);
    if (uncertain || state !== "durable") continue;
    if (fate === "live" && !live) fail("write-lost", `${name}, is not there, and nobody who had seen it replaced or deleted it`);
    if (fate === "gone" && live) fail("deleted-returned", `${name}, was replaced or deleted and is there`);
    if (fate !== "unknown" && !disk.knows(dot)) fail("write-forgotten", `${name}, is not known any more`);
  }
}

/** Nothing, too, where a value that nobody holds any more is refused (reading.ts judges that). */
function textAt({ life }: Machine, key: string): string | undefined {
  try {
    const value = life?.kv.get(key);
    return value === undefined ? undefined : Buffer.from(value.value).toString("utf8");
  } catch (error) {
    if (error instanceof ConcordError && error.code === "damaged") return undefined;
    throw error;
  }
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && Buffer.compare(a, b) === 0;
}
