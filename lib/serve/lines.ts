/** What a node's events say to a person: one line each, or nothing. The lines about peers and hashes are those of the base protocol. */
import type { RepairReceipt, ReplicaEvent } from "../core/output.ts";
import { printableKey } from "../core/damaged.ts";
import type { LogLevel } from "../core/ports.ts";
import type { ScrubReport } from "../core/scrub.ts";

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
    case "damage-found":
      return warn(`the stored record of ${printableKey(event.key)} is damaged; everything that is stored is looked over now`);
    case "scrub-started":
      return debug(`scrub ${event.number} begins`);
    case "scrub-ended":
      return lineOfScrub(event.report);
    case "lost-deleted":
      return debug(`${printableKey(event.key)}, which the disk had lost, is deleted`);
    case "all-refilled":
      return info("all that the disk had lost is here again, or known to be deleted");
  }
}

/** What was found wrong when the data was opened, and how many keys wait for a peer. */
export function linesOfOpening(rebuilt: string | undefined, healed: string | undefined, waiting: number): Line[] {
  const lines: Line[] = [];
  if (rebuilt !== undefined) lines.push(warn(`the store was rebuilt from its entries: ${rebuilt}`));
  if (healed !== undefined) lines.push(warn(`the disk has damaged what is stored, and it was put right: ${healed}`));
  if (waiting > 0) lines.push(warn(`${counted(waiting, "key waits", "keys wait")} for a peer that has what the disk has lost`));
  return lines;
}

function scrubText({ records, bytes, damaged, remade, lost, tablesWrong, tookMs }: ScrubReport): string {
  const looked = `${counted(records, "record", "records")}, ${bytes} bytes in ${(tookMs / 1_000).toFixed(1)} s`;
  if (damaged === 0 && remade === 0 && lost === 0 && !tablesWrong) return `${looked}: all sound`;
  const found = [`${damaged} damaged`];
  if (remade > 0) found.push(`${remade} made anew`);
  if (lost > 0) found.push(`${counted(lost, "key", "keys")} set apart until a peer sends them`);
  if (tablesWrong) found.push("the sketch tables made anew");
  return `${looked}: ${found.join(", ")}`;
}

function lineOfScrub(report: ScrubReport): Line {
  const text = `scrub: ${scrubText(report)}`;
  return report.damaged + report.remade + report.lost > 0 || report.tablesWrong ? warn(text) : info(text);
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
