/**
 * `concord repair`: makes a node repair from one of its peers now, or tells what that would do on both sides.
 */
import type { Client, Comparison, RepairReceipt } from "../lib/client.ts";
import { CLIENT_FLAGS, withClient } from "./client.ts";
import { createCommand } from "./command.ts";
import { EXIT, Failure, usageFailure } from "./exit.ts";
import { readNodeUrl } from "./settings.ts";
import { bytesText, counted, RESULTS } from "./status.ts";

/** How often a long repair is asked about. */
const LOOK_EVERY_MS = 500;

/** The node itself goes on for as long as answers come; a script that asked for it wants an end: this is a store of many gigabytes. */
const WAIT_MINUTES_MAX = 30;

export const repair = createCommand({
  name: "repair",
  summary: "repairs a node from one of its peers now, or tells what that would do",
  details: [
    "Nodes repair each other by themselves, within a few pings of any difference. This is for whoever does not want to wait, or wants to know " +
      "before. The node asks the peer for what it lacks, and removes what the peer knows to be replaced or deleted; what the peer lacks it asks " +
      "for itself. Only a peer that the node knows is talked to (concord status lists them).",
    "A long repair is waited for, and standard error tells how it goes, for 30 minutes at most; the node goes on with it after that. While the " +
      "node repairs from another peer, or that peer from the node, the repair waits for its turn.",
    "With --dry-run nothing is changed: both are compared, and what each side would receive and remove is counted.",
  ],
  args: {
    peer: { type: "string", required: true, valueHint: "http://localhost:8002", description: "The peer: its URL, or its name." },
    "dry-run": { type: "boolean", description: "Only tells what each side would receive and remove." },
    json: { type: "boolean", description: "Prints the receipt, or the comparison, as JSON." },
    ...CLIENT_FLAGS,
  },
  examples: [
    ["concord repair --peer=http://localhost:8002 --dry-run", "what would the node on 8001 and its peer give each other?"],
    ["concord repair --peer=http://localhost:8002", "do it"],
    ["concord repair --peer=node3 --node=http://localhost:8002 --json", "another node, a peer by its name, for a program"],
  ],
  async run({ peer, "dry-run": dryRun, json, ...asking }, { stdout, stderr }) {
    const name = readPeer(peer);
    if (dryRun) {
      const comparison = await withClient(asking, (client) => client.compare(name));
      stdout.write(json ? `${JSON.stringify(comparison)}\n` : renderComparison(comparison, asking.node));
      return EXIT.done;
    }
    const receipt = await withClient(asking, (client) => repairToEnd(client, name, (line) => void stderr.write(`${line}\n`)));
    stdout.write(json ? `${JSON.stringify(receipt)}\n` : renderReceipt(receipt));
    if (receipt.result === "joined" || receipt.result === "behind") return EXIT.done;
    throw new Failure(EXIT.refused, `the repair is not complete: ${RESULTS[receipt.result]}`);
  },
});

/** What looks like a URL is one. */
function readPeer(text: string): string {
  if (text === "") throw usageFailure("--peer is the URL or the name of a peer, such as http://localhost:8002");
  return /[:/]/.test(text) ? readNodeUrl("peer", text) : text;
}

/**
 * A repair of a large store takes longer than a request may. Which receipt is that of this repair its number tells: neither one of another
 * peer nor one that ended before counts. `tell` hears what is waited for whenever that changes.
 */
export async function repairToEnd(
  client: Pick<Client, "repair" | "status">,
  peer: string,
  tell: (line: string) => void,
  { lookEveryMs = LOOK_EVERY_MS, waitMinutesMax = WAIT_MINUTES_MAX } = {},
): Promise<RepairReceipt> {
  const answer = await client.repair(peer);
  if (!("underWay" in answer)) return answer;
  const begunMs = performance.now();
  let [told, upMs] = ["", 0];
  for (;;) {
    const { repairs, repairingWith, stopped, uptimeMs } = await client.status();
    if (uptimeMs < upMs) throw new Failure(EXIT.refused, "the node was started again before the repair ended: ask for it once more");
    upMs = uptimeMs;
    const receipt = repairs.find((one) => one.peer === answer.peer && one.number > answer.after);
    if (receipt !== undefined) return receipt;
    if (stopped !== undefined) throw new Failure(EXIT.storage, `the node has stopped: ${stopped}`);
    const state = stateOf(answer.peer, repairingWith);
    if (performance.now() - begunMs >= waitMinutesMax * 60_000)
      throw new Failure(
        EXIT.refused,
        `after ${waitMinutesMax} minutes ${state}; the node goes on: concord status --json tells how it ends`,
      );
    if (state !== told) tell((told = state));
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

function stateOf(peer: string, repairingWith: string | undefined): string {
  if (repairingWith === peer) return `the repair from ${peer} is under way`;
  return `the repair from ${peer} waits for its turn${repairingWith === undefined ? "" : `: one from ${repairingWith} is under way`}`;
}

export function renderComparison({ peer, sides, atLeast, atMost, requests, bytesIn, bytesOut }: Comparison, node: string): string {
  const cost = `(${counted(requests, "request")}, ${bytesText(bytesIn + bytesOut)}; nothing was changed)`;
  if (sides === undefined) {
    const bound = atMost === undefined ? "" : ` and at most ${atMost}`;
    return `at least ${counted(atLeast, "value differs", "values differ")}${bound}: too many to compare without a repair ${cost}\n`;
  }
  if (atLeast === 0) return `both hold the same ${cost}\n`;
  const side = (name: string, { receives, removes }: typeof sides.here): string =>
    `${name} would receive ${counted(receives, "value")} and remove ${removes}\n`;
  return `${side(node, sides.here)}${side(peer, sides.peer)}${cost}\n`;
}

export function renderReceipt(receipt: RepairReceipt): string {
  const { kind, why, peer, result, differences, entriesIn, dropped, peerLacks, requests, bytesIn, bytesOut, tookMs } = receipt;
  const lines = [
    `from ${peer} by ${kind}: ${RESULTS[result] ?? result}`,
    `${kind}, because ${why}`,
    `${counted(differences, "value")} differed: ${counted(entriesIn, "entry", "entries")} received, ${counted(dropped, "value")} removed`,
    ...(peerLacks === 0 ? [] : [`the peer lacks ${counted(peerLacks, "value")} of this node, and asks for them itself`]),
    `${counted(requests, "request")}, ${bytesText(bytesIn)} received, ${bytesText(bytesOut)} sent, ${Math.round(tookMs)} ms`,
  ];
  return `${lines.join("\n")}\n`;
}
