/**
 * What crosses the wire, counted by a proxy between two real nodes. The stores are small here; what is counted does not depend on their
 * size, and `npm run bench -- wire` shows the same with a million keys.
 */
import test from "ava";
import { PINGS } from "../support/reading-proxy.ts";
import { healTogether } from "../support/wire-many.ts";
import { Wire, type Counted } from "../support/wire.ts";

const KEYS = 20_000;

/** Of a node that never spares a peer that asks, none of them would do. */
const TRIES_MAX = 8;

/** Incarnations that either node knows: one for each start after which it wrote. */
const INCARNATION_BYTES = 16;

test.serial(
  "an ordinary outage: a delta of 200 bytes and 16 for each incarnation, whatever changed; 10 keys take 4 kB with everything",
  async (t) => {
    t.timeout(240_000);
    const wire = await Wire.create(t, KEYS);
    const few = await wire.outage(() => wire.write(100, 10));
    t.like(few.receipt, { kind: "delta", result: "joined", differences: 20, entriesIn: 10, requests: 1 });
    t.true(few.allBytes <= 4096, `${few.allBytes} bytes with everything: ${JSON.stringify(few)}`);
    const { incarnations } = await wire.stays.client.status();
    const most = 200 + INCARNATION_BYTES * incarnations;
    t.true(few.repair.protocolBytes <= most, `${few.repair.protocolBytes} bytes`);

    const more = await wire.outage(async () => {
      await wire.write(5_000, 600);
      await wire.remove(40, (i) => 10_000 + i);
    });
    t.like(more.receipt, { kind: "delta", result: "joined", requests: 1 });
    t.true(more.repair.protocolBytes <= most + INCARNATION_BYTES, `${more.repair.protocolBytes} bytes`);
    checkReceipt(more, t.is.bind(t));

    await wire.inSync();
    while (wire.toStays.crossings.length + wire.toReturns.crossings.length < 2) await new Promise((resolve) => setTimeout(resolve, 100));
    for (const crossing of [...wire.toStays.crossings, ...wire.toReturns.crossings]) {
      t.true((PINGS as readonly string[]).includes(crossing.kind));
      t.true(crossing.protocolBytes <= 150, `${crossing.protocolBytes} bytes`);
    }
  },
);

/** The receipt says the same as the wire. */
function checkReceipt({ receipt, repair }: Counted, is: (actual: unknown, expected: unknown, message: string) => void): void {
  is(receipt.bytesIn + receipt.bytesOut, repair.protocolBytes + repair.entryBytes, "bytes");
  is(receipt.entryBytesIn, repair.entryBytes, "bytes of entries");
  is(receipt.requests, repair.exchanges, "requests");
}

test.serial("deletions that nobody remembers: 1.5 kB and one request for 48, 18 kB and two for a thousand", async (t) => {
  t.timeout(240_000);
  const wire = await Wire.create(t, KEYS);
  let from = 0;
  for (const { deleted, bytes, requests } of [
    { deleted: 48, bytes: 1_500, requests: 1 },
    { deleted: 1_000, bytes: 18_000, requests: 2 },
  ]) {
    const counted = await wire.outage(async () => {
      const first = from;
      await wire.remove(deleted, (i) => first + 7 * i);
      from += 7 * deleted;
      await wire.forget();
    });
    t.like(counted.receipt, { kind: "sketch", result: "joined", dropped: deleted, differences: deleted, requests });
    t.true(counted.repair.protocolBytes <= bytes, `${counted.repair.protocolBytes} bytes for ${deleted}`);
    t.is(counted.repair.entryBytes, 0);
    checkReceipt(counted, t.is.bind(t));
  }
});

test.serial("a node that lost its context: 1.5 kB and one request for 48 differences, 18 kB and two for a thousand", async (t) => {
  t.timeout(240_000);
  const wire = await Wire.create(t, KEYS, { again: KEYS / 2 });
  for (const { differences, bytes, requests } of [
    { differences: 48, bytes: 1_500, requests: 1 },
    { differences: 1_000, bytes: 18_000, requests: 2 },
  ]) {
    const again = () =>
      wire.outage(async () => {
        await wire.loseContext();
        await wire.write(0, differences / 2, (i) => 11 * i);
      });
    let counted = await again();
    // Both may begin before either has heard of the other: that is chance, and on a machine that is busy otherwise no small one.
    for (let tries = 1; tries < TRIES_MAX && counted.repairBack.protocolBytes > 500; tries++) counted = await again();
    t.like(counted.receipt, { kind: "sketch", result: "joined", differences, entriesIn: differences / 2, requests });
    t.true(counted.repair.protocolBytes <= bytes, `${counted.repair.protocolBytes} bytes for ${differences}`);
    t.true(counted.repairBack.protocolBytes <= 500, `${counted.repairBack.protocolBytes} bytes the other way round`);
  }
});

for (const [nodes, away] of [
  [3, 1],
  [4, 2],
] as const) {
  test.serial(`${away} of ${nodes} nodes come back at once: every entry is sent to each of them once`, async (t) => {
    t.timeout(240_000);
    const { entries, needed } = await healTogether(t, { nodes, away, keys: 2_000, changed: 500 });
    t.is(entries, needed);
  });
}
