/**
 * `concord scrub`: has a running node look over all that it has stored, waits for the end, and prints what was found. Made for cron jobs
 * as much as for people: the exit code tells whether anything is lost.
 */
import type { Client, NodeReport } from "../lib/client.ts";
import { CLIENT_FLAGS, withClient } from "./client.ts";
import { createCommand } from "./command.ts";
import { EXIT, Failure } from "./exit.ts";
import { scrubOf, waitingOf } from "./status.ts";
import { createPaint } from "./terminal.ts";

const LOOK_EVERY_MS = 100;
/** What peers have comes within a repair or two. */
const REFILL_WITHIN_MS = 15_000;

type Scrub = NodeReport["scrub"];

export const scrub = createCommand({
  name: "scrub",
  summary: "has a node read all that it has stored, and put right what its disk has damaged",
  details: [
    "Every record is read and its checksum compared, while the node goes on serving; digests, indexes and sketch tables are computed anew and " +
      "compared. What can be computed is made anew. A value that cannot be read is set apart: it is never shown, and peers send it again.",
    "Exit code 1: values are lost here and no peer has sent them within 15 seconds; they are refused until a peer that has them comes back, or " +
      "until they are written anew or deleted.",
  ],
  args: { json: { type: "boolean", description: "Prints the report as JSON." }, ...CLIENT_FLAGS },
  examples: [
    ["concord scrub", "the node on 8001"],
    ["concord scrub --node=http://localhost:8002 --json", "another one, for a program"],
    ['concord serve --port=8001 --peers= --scrub="0 3 * * *"', "the same by itself, every night at three (UTC)"],
  ],
  async run({ json, ...asking }, { stdout }) {
    const report = await withClient(asking, scrubNode);
    stdout.write(json ? `${JSON.stringify(report, undefined, 2)}\n` : renderScrub(report, createPaint(stdout)));
    return report.waiting > 0 ? EXIT.keyMissing : EXIT.done;
  },
});

async function scrubNode(client: Client): Promise<Scrub> {
  const number = await client.scrub();
  const begunMs = performance.now();
  let endedMs: number | undefined;
  for (;;) {
    const { scrub: view, stopped } = await client.status();
    if (stopped !== undefined) throw new Failure(EXIT.storage, `the node has stopped: ${stopped}`);
    if (view.running !== number && (view.last?.number ?? 0) >= number) {
      endedMs ??= performance.now();
      if (view.waiting === 0 || performance.now() - endedMs > REFILL_WITHIN_MS) return view;
    } else if (view.running === undefined && performance.now() - begunMs > REFILL_WITHIN_MS) {
      throw new Failure(EXIT.refused, "the node does not look over its data, although it was asked to: has it been started again?");
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

function renderScrub(view: Scrub, paint: ReturnType<typeof createPaint>): string {
  const { waiting } = view;
  const refilled = view.last?.refilled ?? 0;
  const lines = [scrubOf(view)];
  if (refilled > 0) lines.push(paint("green", `${refilled} ${refilled === 1 ? "key is" : "keys are"} here again`));
  if (waiting > 0) lines.push(paint("red", waitingOf(view)));
  return `${lines.join("\n")}\n`;
}
