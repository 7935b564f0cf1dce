/** A client that reads several nodes: what it is shown then is at least what that many of them held when it asked. */
import { ConcordError } from "../core/errors.ts";
import { keyToBytes } from "../core/layout.ts";
import type { Machine } from "./machine.ts";
import { read } from "./reading.ts";
import type { World } from "./world.ts";

const EXPECTED: ReadonlySet<string> = new Set(["too-few-copies", "storage-failed", "disk-full", "stopping"]);

export function readTwo(world: World, machines: ReadonlyMap<string, Machine>, here: Machine, key: string, copies: number): void {
  const { life } = here;
  if (life === undefined) return;
  const startedMs = world.events.nowMs;
  const records = world.ledger.records.filter((record) => record.key === keyToBytes(key) && record.sibling !== undefined);
  const others = [...machines.values()].filter((machine) => machine !== here);
  const held = others.map(({ disk }) => records.filter(({ dot }) => disk.isLive(dot)));
  const lacked = held.some((list) => list.some(({ dot }) => !here.disk.isLive(dot)));
  // A node that has not yet heard of any other refuses to read two.
  const asked = Math.min(copies, 1 + life.node.replica.membership.members().length);
  life.kv.refresh(key, { copies: asked }).then(
    (answered) => {
      if (answered < asked) return world.fail("too-few-read", `${here.name} read ${answered} nodes of ${asked}`);
      if (here.life !== life || world.lastLossMs >= startedMs) return;
      read(world, here, key);
      const isThere = (list: typeof records): boolean =>
        list.every(({ dot }) => here.disk.isLive(dot) || world.ledger.isSuperseded(dot, undefined));
      const agreeing = held.filter(isThere).length;
      if (agreeing < asked - 1) world.fail("read-missed", `${here.name} does not show what ${asked - 1} others held of ${key}`);
      if (asked > 1) world.coverage.count(lacked ? "read-two-repaired" : "read-two");
    },
    (error: unknown) => {
      world.say(() => `the read of ${key} at ${here.name} is refused: ${String(error)}`);
      const code = error instanceof ConcordError ? error.code : "unknown";
      if (EXPECTED.has(code) || (code === "damaged" && here.disk.damage.happened)) world.coverage.count("read-two-refused");
      else world.fail("needless-refusal", `${here.name} refused to read ${key}: ${String(error)}`);
    },
  );
}
