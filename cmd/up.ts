/**
 * `concord up`, which is what `npm start` runs: a whole cluster on this machine, each node a process with a folder of its own.
 *
 * It is for trying out and for development, so it pings more often than a node alone does: what a person has just killed should be
 * seen as down while they are looking.
 */
import { createServer } from "node:net";
import { readClusterKeys } from "../lib/auth/cluster-key.ts";
import { createClient, type NodeStatus } from "../lib/client.ts";
import { createCommand, type Terminal, type Values } from "./command.ts";
import { EXIT, Failure, nodeFailure, usageFailure } from "./exit.ts";
import { DATA_FOLDER } from "./serve.ts";
import { readCount, readMerge, readPort, readSeconds } from "./settings.ts";
import { listenForStop } from "./signals.ts";
import { createPaint, type Colour, type Paint } from "./terminal.ts";
import { startChild, type ChildNode } from "./up/child.ts";
import { endedLine, reasonOf, renderGuide } from "./up/guide.ts";
import { planCluster, programOf, type NodePlan, type Program } from "./up/plan.ts";

/** Each is a process of some 80 MB. */
const NODES_MAX = 16;
const PORT_MAX = 65_535;
/** A node starts in a second; a slow machine with many of them takes longer. */
const MEET_WITHIN_MS = 30_000;
const LOOK_EVERY_MS = 100;
/** Data from last time may differ between the nodes: what is small is repaired before anybody types, what is large goes on meanwhile. */
const SYNC_WITHIN_MS = 5_000;
/** Longer than a node gives its own requests to finish. */
const STOP_WITHIN_MS = 20_000;

type Peer = NodeStatus["peers"][number];

const COLOURS: readonly Colour[] = ["cyan", "magenta", "green", "blue", "yellow"];

const args = {
  nodes: { type: "string", valueHint: "3", default: "3", description: `How many nodes, ${NODES_MAX} at most.` },
  port: { type: "string", valueHint: "8001", default: "8001", description: "The port of the first node; the others follow." },
  data: { type: "string", valueHint: "DIR", default: DATA_FOLDER, description: "Holds a folder for each node, made when missing." },
  memory: { type: "boolean", description: "Keeps the data in memory; a node that starts again refills from the others." },
  pingfreq: { type: "string", valueHint: "2", default: "2", description: "Seconds from one ping to the next; serve alone takes 10." },
  timeout: {
    type: "string",
    valueHint: "5",
    default: "5",
    description: "Seconds without an answer after which a peer is down; serve alone takes 15.",
  },
  merge: {
    type: "string",
    valueHint: "cart:=union",
    default: "",
    description: "How concurrent values merge, by the beginning of the key, as with serve.",
  },
  "cluster-key-file": { type: "string", valueHint: "FILE", description: "The nodes sign what they say to each other, as with serve." },
} as const;

export const up = createCommand({
  name: "up",
  summary: "a local cluster in one command, which is what npm start runs",
  details: [
    "Starts the nodes, waits until they see each other, and says what to try. The data stays between one time and the next. Ctrl-C stops all of " +
      "them. A node that is killed is reported, and the rest goes on.",
  ],
  args,
  conflicts: [["data", "memory"]],
  lists: ["merge"],
  examples: [
    ["npm start", "three nodes on 8001, 8002 and 8003"],
    ["npm start -- --nodes=5 --port=9001", "five nodes on 9001 to 9005"],
    ["concord up --memory", "three nodes that leave nothing on the disk"],
    ["concord keygen cluster.key && concord up --cluster-key-file=cluster.key", "three nodes that sign what they say to each other"],
  ],
  run: runCluster,
});

async function runCluster(values: Values<typeof args>, terminal: Terminal): Promise<number> {
  const { stdout, stderr, env, exit } = terminal;
  const program = programOf(process);
  const plans = readPlans(values, program);
  await checkPorts(plans);
  const paint = createPaint(stdout);
  const say = (line: string): void => void stdout.write(`${line}\n`);
  say(paint("gray", `starting ${plans.length} ${plans.length === 1 ? "node" : "nodes"} …`));
  const children = plans.map((plan, i) => startChild(plan, program, env, prefixed(say, plan, i, plans, paint)));
  const stop = listenForStop(() => {
    for (const child of children) if (!child.hasEnded) child.kill("SIGKILL");
    stderr.write("concord up: stopped at once; what was acknowledged is safe\n");
    exit(EXIT.impatient);
  });
  try {
    const outcome = await Promise.race([stop.asked, firstEnd(children), meet(children)]);
    if (outcome instanceof Failure) throw outcome;
    if (stop.isAsked) return EXIT.done;
    if (outcome === false) say(`the nodes do not all see each other yet, after ${MEET_WITHIN_MS / 1_000} s; their lines may say why`);
    say(renderGuide(children, program, paint));
    for (const child of children) {
      void child.ended.then((end) => {
        if (!stop.isAsked) say(paint("yellow", endedLine(child, end)));
      });
    }
    const all = Promise.all(children.map((child) => child.ended));
    const gone = await Promise.race([stop.asked, all.then(() => true)]);
    if (gone !== true) return EXIT.done;
    throw new Failure(EXIT.storage, "no node of this cluster is left");
  } finally {
    const running = children.filter((child) => !child.hasEnded);
    if (running.length > 0) say(paint("gray", `stopping ${running.map(({ plan }) => plan.name).join(", ")} …`));
    await stopAll(running, (line) => stderr.write(`concord up: ${line}\n`));
    stop.dispose();
  }
}

function readPlans(values: Values<typeof args>, program: Program): NodePlan[] {
  const nodes = readCount("nodes", values.nodes, 1, NODES_MAX);
  const port = readPort("port", values.port, 1);
  if (port + nodes - 1 > PORT_MAX) throw usageFailure(`--port=${port} leaves no ports for ${nodes} nodes; the last is ${PORT_MAX}`);
  if (values.data === "") throw usageFailure("--data is the name of a folder; for none, write --memory");
  const pingEverySeconds = readSeconds("pingfreq", values.pingfreq) / 1_000;
  const timeoutSeconds = readSeconds("timeout", values.timeout) / 1_000;
  const folder = values.memory ? undefined : values.data;
  const clusterKeyFile = readKeyFile(values["cluster-key-file"]);
  // Looked at here, because each node would say the same of it.
  readMerge("merge", values.merge);
  return planCluster({ nodes, port, folder, pingEverySeconds, timeoutSeconds, clusterKeyFile, merge: values.merge }, program);
}

/** Like the policies. */
function readKeyFile(path: string | undefined): string | undefined {
  try {
    if (path !== undefined) readClusterKeys(path);
    return path;
  } catch (error) {
    throw nodeFailure(error);
  }
}

/** Before anything is started: one clear line instead of three nodes that fail one after the other. */
async function checkPorts(plans: readonly NodePlan[]): Promise<void> {
  const taken: number[] = [];
  for (const { port } of plans) if (await isTaken(port)) taken.push(port);
  if (taken.length === 0) return;
  const ports = taken.length === 1 ? `port ${taken[0]} is` : `ports ${taken.join(", ")} are`;
  const other = (plans[0]?.port ?? 0) + 1_000;
  const advice = other + plans.length <= PORT_MAX ? `, such as --port=${other} (npm start -- --port=${other})` : " with --port";
  throw new Failure(EXIT.usage, `${ports} in use: stop what listens there, or choose others${advice}`);
}

function isTaken(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(true);
      else if (error.code === "EACCES")
        reject(new Failure(EXIT.usage, `port ${port} may not be used by this user: choose one over 1023 with --port`));
      else reject(error);
    });
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(false)));
  });
}

/** The node's own lines begin with its name as well. */
function prefixed(
  say: (line: string) => void,
  plan: NodePlan,
  index: number,
  plans: readonly NodePlan[],
  paint: Paint,
): (line: string) => void {
  const width = Math.max(...plans.map(({ name }) => name.length));
  const prefix = paint(COLOURS[index % COLOURS.length] ?? "cyan", `${plan.name.padEnd(width)} |`);
  const own = `[${plan.name}] `;
  return (line) => say(`${prefix} ${line.startsWith(own) ? line.slice(own.length) : line}`);
}

/** Resolves with true when every node sees every other one as up, and holds the same if that is soon; with false when they take too long. */
async function meet(children: readonly ChildNode[]): Promise<boolean> {
  await Promise.all(children.map((child) => child.listening));
  const clients = children.map(({ plan }) => createClient({ node: `http://127.0.0.1:${plan.port}`, timeoutMs: MEET_WITHIN_MS }));
  const startMs = performance.now();
  let metMs = Infinity;
  try {
    while (performance.now() - startMs < MEET_WITHIN_MS) {
      const states = await Promise.all(clients.map((client) => client.status().catch(() => undefined)));
      const peers = states.flatMap((state): readonly (Peer | undefined)[] => state?.peers ?? [undefined]);
      if (peers.every((peer) => peer?.status === "alive")) metMs = Math.min(metMs, performance.now());
      if (performance.now() - metMs > SYNC_WITHIN_MS || peers.every((peer) => peer?.status === "alive" && peer.inSync === true))
        return true;
      if (children.some((child) => child.hasEnded)) return false;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
    return metMs < Infinity;
  } finally {
    for (const client of clients) client.close();
  }
}

/** A node that ends before the cluster stands has a reason that concerns all of them. */
async function firstEnd(children: readonly ChildNode[]): Promise<Failure> {
  return Promise.race(
    children.map(async (child) => {
      const end = await child.ended;
      return new Failure(
        end.exitCode ?? EXIT.storage,
        `${child.plan.name} ${reasonOf(end)} before the cluster stood; its lines above say why`,
      );
    }),
  );
}

async function stopAll(children: readonly ChildNode[], say: (line: string) => void): Promise<void> {
  await Promise.all(
    children.map(async (child) => {
      child.kill("SIGTERM");
      const deadline = setTimeout(() => {
        say(`${child.plan.name} did not stop within ${STOP_WITHIN_MS / 1_000} s and was killed; what it acknowledged is safe`);
        child.kill("SIGKILL");
      }, STOP_WITHIN_MS);
      await child.ended;
      clearTimeout(deadline);
    }),
  );
}
