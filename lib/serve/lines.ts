/** What a node's events say to a person: one line each, or nothing. The lines about peers and hashes are those of the base protocol. */
import type { RepairReceipt, ReplicaEvent } from "../core/output.ts";
import type { LogLevel } from "../core/ports.ts";

export interface Line {
  readonly level: LogLevel;
  readonly text: string;
}

export function lineOf(event: ReplicaEvent): Line | undefined {
  switch (event.kind) {
    case "peer-up":
      return info(`Peer ${event.peer} is up`);
    case "peer-down":
      return warn(`Peer ${event.peer} is down: ${event.why}`);
    case "peer-learned":
      return info(`Peer ${event.peer} was not on the list; it pinged this node and counts as a peer now`);
    case "all-peers-up":
      return info("All peers are up");
    case "in-sync":
      return info(`${event.peer}: store hashes match, no replication needed`);
    case "differs":
      return info(`${event.peer}: store hashes differ, replicating`);
    case "repair-started":
      return debug(`${event.peer}: repair begins`);
    case "repair-ended":
      return lineOfRepair(event.receipt);
    case "compared":
      return debug(`${event.peer}: compared`);
    case "repair-answered":
      return debug(`${event.peer}: repairs from here: ${counted(event.entries, "entry", "entries")}, ${event.bytes} bytes`);
    case "push-dropped":
      return debug(`${event.peer}: too many writes wait for it, ${event.keys} are left to repair`);
    case "refused":
      return warn(`${event.peer}: what it sent was refused: ${event.why}`);
    case "clock-far-ahead":
      if (!event.isFirst) return undefined;
      return warn(`${event.peer}: its clock is far ahead of this node's; set it right, until then its writes win over concurrent ones`);
    case "incarnation-renounced":
      return warn(
        `${event.peer} knows writes of this node that are not here: the data folder is an old copy, so this node goes on under a new identity`,
      );
    case "sibling-created":
      return debug("concurrent writes to one key: both are kept until the next write to it");
    case "swept":
      return debug(`${event.siblings} expired values removed`);
    case "audit-failed":
      return warn(`the store does not agree with its entries: ${event.problem}`);
  }
}

function lineOfRepair(receipt: RepairReceipt): Line {
  const { peer, kind, why, result, requests, differences, entriesIn, bytesIn, bytesOut, dropped, tookMs } = receipt;
  const removed = dropped === 0 ? "" : `, ${dropped} removed`;
  const found = `${counted(differences, "difference", "differences")}, ${counted(entriesIn, "entry", "entries")}${removed}`;
  const counts = `${found}, ${bytesIn + bytesOut} bytes, in ${counted(requests, "request", "requests")} and ${Math.round(tookMs)} ms`;
  const by = `by ${kind} (${why})`;
  switch (result) {
    case "joined":
      return entriesIn + dropped === 0 ? debug(`${peer}: nothing was missing here`) : info(`${peer}: repaired ${by}: ${counts}`);
    case "behind":
      return debug(`${peer}: merged ${by}: ${counts}; it has to repair from here before the two can be compared`);
    case "differs":
      return info(`${peer}: repaired ${by}, and it changed meanwhile: ${counts}`);
    case "interrupted":
      return warn(`${peer}: the repair ${by} broke off after ${counts}; it will be tried again`);
    case "too-many-drops":
      return warn(`${peer}: the repair ${by} would remove too large a share of this store and was stopped: look at that peer`);
  }
}

const debug = (text: string): Line => ({ level: "debug", text });
const info = (text: string): Line => ({ level: "info", text });
const warn = (text: string): Line => ({ level: "warn", text });

function counted(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}
