/**
 * `concord status`: what a node knows of itself and of its peers, in one screen.
 */
import type { NodeReport } from "../lib/client.ts";
import { CLIENT_FLAGS, withClient } from "./client.ts";
import { createCommand } from "./command.ts";
import { EXIT } from "./exit.ts";
import { createPaint, printable, table, type Output, type Paint } from "./terminal.ts";

type Peer = NodeReport["peers"][number];

export const status = createCommand({
  name: "status",
  summary: "what a node knows of itself and of its peers",
  details: [
    "Nodes that hold the same data show the same hash. A peer is in sync when its hash was the same at the last ping; lag " +
      "means that it was not, and that repair follows.",
  ],
  args: { json: { type: "boolean", description: "Prints all that the node answers, as JSON." }, ...CLIENT_FLAGS },
  examples: [
    ["concord status", "the node on 8001"],
    ["concord status --node=http://localhost:8002 --json", "another one, for a program"],
  ],
  async run({ json, ...asking }, { stdout }) {
    const answer = await withClient(asking, (client) => client.status());
    stdout.write(json ? `${JSON.stringify(answer, undefined, 2)}\n` : renderStatus(answer, Date.now(), stdout));
    return EXIT.done;
  },
});

export function renderStatus(node: NodeReport, nowMs: number, output: Output): string {
  const paint = createPaint(output);
  const lines = [
    ...table([
      [
        "node",
        `${paint("bold", shown(node.name))}  ${node.address}, version ${shown(node.version)}, up for ${durationText(node.uptimeMs)}`,
      ],
      ["keys", keysOf(node)],
      ["hash", node.hash],
      ["last repair", repairOf(node)],
      ["last sent", sentOf(node, nowMs)],
      ...refusedRows(node),
      ...scrubRow(node, nowMs),
    ]),
  ];
  if (node.scrub.waiting > 0) lines.push(paint("red", waitingOf(node.scrub)));
  if (node.stopped !== undefined) lines.push(paint("red", `takes no writes: ${shown(node.stopped)}`));
  if (node.peers.length === 0) return `${[...lines, "", "no peers"].join("\n")}\n`;
  const heading = ["PEER", "ADDRESS", "STATE", "FOR", "ROUND TRIP", "DATA"];
  const [first = "", ...rows] = table([heading, ...node.peers.map((peer) => rowOf(peer, nowMs))]);
  lines.push("", paint("bold", first), ...rows.map((row, i) => paintRow(row, node.peers[i], paint)));
  return `${lines.join("\n")}\n`;
}

function keysOf({ keys, count }: NodeReport): string {
  const siblings = count - keys;
  if (siblings <= 0) return String(keys);
  return `${keys} (${siblings} more ${siblings === 1 ? "value" : "values"} from writes that did not know of each other)`;
}

function repairOf({ lastRepair, repairingWith }: NodeReport): string {
  const running = repairingWith === undefined ? "" : `under way with ${repairingWith}`;
  if (lastRepair === undefined) return running === "" ? "none yet" : running;
  const { kind, why, peer, result, differences, entriesIn, dropped, bytesIn, bytesOut, requests, tookMs } = lastRepair;
  const gone = dropped === 0 ? "" : `, ${counted(dropped, "value")} removed`;
  const rounds = `${counted(requests, "request")}, ${bytesText(bytesIn)} received, ${bytesText(bytesOut)} sent, ${Math.round(tookMs)} ms`;
  const found = `${counted(differences, "value")} differed, ${counted(entriesIn, "entry", "entries")} received${gone}`;
  const last = `${kind} from ${peer}: ${found} (${rounds}; ${RESULTS[result] ?? result}); ${kind}, because ${why}`;
  return running === "" ? last : `${running}; before: ${last}`;
}

function sentOf({ lastSent }: NodeReport, nowMs: number): string {
  if (lastSent === undefined) return "nothing yet";
  const { peer, entries, bytes, atMs } = lastSent;
  return `${counted(entries, "entry", "entries")} (${bytesText(bytes)}) to ${peer}, which repaired from here ${durationText(nowMs - atMs)} ago`;
}

/** Nothing, as long as nothing was refused. */
function refusedRows({ refused: { requests, peers, valuesKept } }: NodeReport): string[][] {
  const parts = [countsOf("requests", requests), countsOf("of peers", peers)];
  if (valuesKept > 0) parts.push(`${counted(valuesKept, "removal")} that nothing explained`);
  const said = parts.filter((part) => part !== "").join("; ");
  return said === "" ? [] : [["refused", said]];
}

function countsOf(what: string, counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([reason, count]) => `${printable(reason)} ${count}`);
  return parts.length === 0 ? "" : `${what}: ${parts.join(", ")}`;
}

/** What the last look over the stored data found. */
export function scrubOf({ running, last }: NodeReport["scrub"]): string {
  const under = running === undefined ? "" : "under way";
  if (last === undefined) return under;
  const { records, bytes, damaged, remade, lost, tablesWrong, refilled, tookMs } = last;
  const found = [`${damaged} damaged`];
  if (remade > 0) found.push(`${remade} made anew`);
  if (lost > 0) found.push(`${counted(lost, "key")} lost, of which ${Math.min(refilled, lost)} are here again`);
  if (tablesWrong) found.push("the sketch tables made anew");
  const isSound = damaged + remade + lost === 0 && !tablesWrong;
  const text = `${counted(records, "record")}, ${bytesText(bytes)} in ${(tookMs / 1_000).toFixed(1)} s: ${isSound ? "all sound" : found.join(", ")}`;
  return under === "" ? text : `${under}; before: ${text}`;
}

/** Most nodes have never looked: then there is no row. */
function scrubRow({ scrub }: NodeReport, nowMs: number): [string, string][] {
  if (scrub.last === undefined && scrub.running === undefined) return [];
  const agoMs = scrub.last === undefined ? undefined : nowMs - scrub.last.startedMs - scrub.last.tookMs;
  return [["last scrub", `${scrubOf(scrub)}${agoMs === undefined ? "" : `, ${durationText(agoMs)} ago`}`]];
}

/** Which keys are refused because the disk has lost what they held. */
export function waitingOf({ waiting, waitingKeys }: NodeReport["scrub"]): string {
  const named = waitingKeys.map((key) => JSON.stringify(printable(key))).join(", ");
  const more = waiting > waitingKeys.length ? ` and ${waiting - waitingKeys.length} more` : "";
  return `lost by this node's disk, waiting for a peer or a new write: ${counted(waiting, "key")} (${named}${more})`;
}

export const RESULTS: Readonly<Record<string, string>> = {
  joined: "complete",
  behind: "merged; whether all is there shows when the peer has repaired from here",
  differs: "did not verify, will be repeated",
  "too-many-drops": "refused, it would have removed too much",
  interrupted: "interrupted, will be repeated",
};

function rowOf({ name, address, status: state, sinceMs, roundTripMs, inSync }: Peer, nowMs: number): string[] {
  return [
    name === "" ? "-" : shown(name),
    address,
    STATES[state],
    durationText(nowMs - sinceMs),
    roundTripMs === undefined ? "-" : `${roundTripMs < 10 ? roundTripMs.toFixed(1) : Math.round(roundTripMs)} ms`,
    inSync === undefined ? "-" : inSync ? "in sync" : "lag",
  ];
}

const STATES: Readonly<Record<Peer["status"], string>> = { unknown: "unknown", alive: "up", suspect: "up, slow", dead: "down" };

function paintRow(row: string, peer: Peer | undefined, paint: Paint): string {
  if (peer?.status === "dead") return paint("red", row);
  return peer?.status === "alive" && peer.inSync === true ? paint("green", row) : paint("yellow", row);
}

/** Two digits or so: who wants to know it to the second reads --json. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} d`;
}

export function bytesText(bytes: number): string {
  if (bytes < 10_000) return counted(bytes, "byte");
  return bytes < 10_000_000 ? `${Math.round(bytes / 1_000)} kB` : `${Math.round(bytes / 1_000_000)} MB`;
}

export function counted(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** A peer chooses its own name. */
function shown(text: string): string {
  return printable(text);
}
