/**
 * Bad input at the HTTP port of a real node, over sockets of our own: no input ends the process, none is answered with an error of the server that is
 * the client's, and what is refused changes nothing (the store's hash says so).
 */
import { connect } from "node:net";
import { freePorts, sleep, TestNode } from "../cluster/support.ts";
import { ask } from "./clients.ts";
import { withTeardown } from "./cluster.ts";
import { fuzzInput } from "./fuzz-inputs.ts";
import { progressOf } from "./progress.ts";

export interface FuzzFigures {
  kept: boolean;
  inputs: number;
  /** Refused inputs after which the hash was what it was before. */
  unchanged: number;
  /** By the first digit of the status. */
  readonly answers: Record<string, number>;
  /** Inputs that were closed without an answer, or left waiting. */
  silent: number;
  readonly broken: string[];
}

/** Each lane has a node of its own, so that a change of the store is the last input's doing. */
const LANES = 2;
/** A request that is not whole is answered, if at all, when we have ended our side. */
const PATIENCE_MS = 400;
/** Expired values are swept once a second. */
const EXPIRY_TRIES = 5;
/** What a node may say of itself, whoever asks: not now, not this many copies, not seen yet. */
const LATER = "503";

export async function run(from: number, count: number, say: (line: string) => void): Promise<FuzzFigures> {
  const figures: FuzzFigures = { kept: true, inputs: 0, unchanged: 0, answers: {}, silent: 0, broken: [] };
  let next = from;
  const progress = progressOf(count, say);
  const nextSeed = (): number | undefined => {
    progress(figures.inputs);
    return next < from + count && figures.broken.length === 0 ? next++ : undefined;
  };
  await withTeardown(async (t) => {
    const ports = await freePorts(LANES);
    await Promise.all(ports.map(async (port) => playLane(await new TestNode(t, port, { name: "node" }).start(), nextSeed, figures)));
  });
  figures.kept = figures.broken.length === 0;
  for (const line of figures.broken) say(line);
  const answers = Object.entries(figures.answers).map(([kind, times]) => `${times} × ${kind}`);
  say(
    `${figures.inputs} inputs from seed ${from}: answered ${answers.join(", ")}; ${figures.silent} closed without an answer; ` +
      `the store was the same after each of ${figures.unchanged} that were refused; ${figures.broken.length} broken promises`,
  );
  return figures;
}

/** One input after the other. The seed alone makes an input again, though not what the store held by then. */
async function playLane(node: TestNode, nextSeed: () => number | undefined, figures: FuzzFigures): Promise<void> {
  for (const key of ["k0", "k1", "k2"]) await node.client.put(key, `value of ${key}`);
  let hash = await hashOf(node);
  for (let seed = nextSeed(); seed !== undefined; seed = nextSeed()) {
    const { bytes, isSingle, what } = fuzzInput(seed);
    const statuses = await exchange(node.port, bytes);
    const now = await hashOf(node);
    tally(statuses, figures);
    const breach = (promise: string): void =>
      void figures.broken.push(`seed ${seed}, ${what}: ${promise}: ${JSON.stringify(bytes.toString("latin1").slice(0, 300))}`);
    const fault = statuses.find((status) => status.startsWith("5") && status !== LATER);
    if (fault !== undefined) breach(`answered with ${fault}`);
    if (now === undefined) breach(`the node does not answer any more: ${node.lines.slice(-5).join(" / ")}`);
    // Of several requests some may have been carried out and their answers lost; a 503 leaves open what has happened.
    if (isSingle && statuses.length > 0 && statuses.every((status) => status.startsWith("4"))) {
      if (now === hash) figures.unchanged++;
      else if (await changesAgain(node, bytes)) breach(`refused with ${statuses.join(", ")}, and the store has changed`);
    }
    hash = now;
  }
  const complaints = node.lines.filter((line) => /in a way that it should not|has stopped/.test(line));
  figures.broken.push(...complaints.slice(0, 5));
}

/** A value that an earlier input gave a time may expire just then; the same input then changes nothing a second time. */
async function changesAgain(node: TestNode, bytes: Buffer): Promise<boolean> {
  for (let tries = 0; tries < EXPIRY_TRIES; tries++) {
    await sleep(100);
    const before = await hashOf(node);
    await exchange(node.port, bytes);
    if ((await hashOf(node)) === before) return false;
  }
  return true;
}

function tally(statuses: readonly string[], figures: FuzzFigures): void {
  figures.inputs++;
  if (statuses.length === 0) figures.silent++;
  for (const status of statuses) {
    const kind = status === LATER ? status : `${status[0]}xx`;
    figures.answers[kind] = (figures.answers[kind] ?? 0) + 1;
  }
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
