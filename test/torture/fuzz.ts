/**
 * Bad input at the HTTP port of a real node, over sockets of our own: no input ends the process, none is answered with an error of the server that is
 * the client's, and what is refused changes nothing (the store's hash says so).
 */
import { connect } from "node:net";
import { freePorts, TestNode } from "../cluster/support.ts";
import { ask } from "./clients.ts";
import { withTeardown } from "./cluster.ts";
import { fuzzInput } from "./fuzz-inputs.ts";

export interface FuzzFigures {
  kept: boolean;
  inputs: number;
  /** By the first digit of the status. */
  readonly answers: Record<string, number>;
  /** Inputs that were closed without an answer, or left waiting. */
  silent: number;
  readonly broken: string[];
}

/** Sockets that are open at once. */
const LANES = 8;
/** Inputs between two looks at the hash. */
const GROUP = 32;
/** A request that is not whole is answered, if at all, when we have ended our side. */
const PATIENCE_MS = 400;
/** What a node may say of itself, whoever asks: not now, not this many copies, not seen yet. */
const LATER = "503";

export async function run(from: number, count: number, say: (line: string) => void): Promise<FuzzFigures> {
  const figures: FuzzFigures = { kept: true, inputs: 0, answers: {}, silent: 0, broken: [] };
  await withTeardown(async (t) => {
    const [port = 0] = await freePorts(1);
    const node = await new TestNode(t, port, { name: "node" }).start();
    for (const key of ["k0", "k1", "k2"]) await node.client.put(key, `value of ${key}`);
    let hash = await node.client.hash();
    for (let first = from; first < from + count && figures.broken.length === 0; first += GROUP) {
      const end = Math.min(first + GROUP, from + count);
      const mayChange = await sendGroup(port, { first, end }, figures);
      const now = await hashOf(node);
      const where = `inputs ${first} to ${end - 1}`;
      if (now === undefined) figures.broken.push(`${where}: the node does not answer any more: ${node.lines.slice(-5).join(" / ")}`);
      else if (!mayChange && now !== hash) figures.broken.push(`${where}: all were refused, and the store's hash has changed`);
      hash = now ?? hash;
    }
    const complaints = node.lines.filter((line) => /in a way that it should not|has stopped|    at /.test(line));
    figures.broken.push(...complaints.slice(0, 5));
  });
  figures.kept = figures.broken.length === 0;
  for (const line of figures.broken) say(`${line}; again: npm run torture -- fuzz ${GROUP} SEED`);
  const answers = Object.entries(figures.answers).map(([kind, times]) => `${times} × ${kind}`);
  say(
    `${figures.inputs} inputs from seed ${from}: answered ${answers.join(", ")}; ${figures.silent} closed without an answer; ` +
      `${figures.broken.length} broken promises`,
  );
  return figures;
}

/** Resolves with whether anything in the group may have been carried out. */
async function sendGroup(
  port: number,
  { first, end }: { readonly first: number; readonly end: number },
  figures: FuzzFigures,
): Promise<boolean> {
  let next = first;
  let mayChange = false;
  const lane = async (): Promise<void> => {
    while (next < end) {
      const seed = next++;
      const { bytes, isSingle, what } = fuzzInput(seed);
      const statuses = await exchange(port, bytes);
      figures.inputs++;
      if (statuses.length === 0) figures.silent++;
      for (const status of statuses) {
        const kind = status === LATER ? status : `${status[0]}xx`;
        figures.answers[kind] = (figures.answers[kind] ?? 0) + 1;
        if (kind === "5xx")
          figures.broken.push(`seed ${seed}, ${what}, answered with ${status}: ${JSON.stringify(bytes.toString("latin1").slice(0, 300))}`);
      }
      // Of several requests some may have been carried out and their answers lost; a 503 leaves open what has happened.
      if (!isSingle || statuses.length === 0 || statuses.some((status) => !status.startsWith("4"))) mayChange = true;
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return mayChange;
}

/** The statuses of the answers. */
function exchange(port: number, bytes: Buffer): Promise<string[]> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => socket.end(bytes));
    const timer = setTimeout(() => socket.destroy(), PATIENCE_MS);
    socket.on("data", (data: Buffer) => (text += data.toString("latin1")));
    socket.on("end", () => socket.destroy());
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(Array.from(text.matchAll(/HTTP\/1\.1 (\d{3}) [A-Z]/g), ([, status = ""]) => status).filter((status) => status !== "100"));
    });
  });
}

async function hashOf(node: TestNode): Promise<string | undefined> {
  const answer = await ask(`${node.url}/store/hash`, "GET", {}, undefined, 10_000);
  return answer?.status === 200 ? (JSON.parse(answer.text) as { readonly hash: string }).hash : undefined;
}
