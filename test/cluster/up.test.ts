/**
 * `concord up` as a person uses it: started, read, a node killed and started again by the line that it shows, stopped with Ctrl-C.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { createServer } from "node:net";
import test, { type ExecutionContext } from "ava";
import { createClient } from "../../lib/client.ts";
import { MAIN, ROOT } from "../support/launch.ts";
import { clusterKeyFile } from "../support/secrets.ts";
import { freePorts, keepLines, plainEnvironment, temporaryFolder, waitFor, type Exit } from "./support.ts";

interface Up {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly exited: Promise<Exit>;
}

function run(t: ExecutionContext, argv: readonly string[]): Up {
  const child = spawn(process.execPath, [...MAIN, ...argv], { cwd: ROOT, env: plainEnvironment(), stdio: ["ignore", "pipe", "pipe"] });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) keepLines(stream, lines);
  const exited = new Promise<Exit>((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGINT");
    await exited;
  });
  return { child, lines, exited };
}

/** Ports that follow each other. */
async function freeRange(count: number): Promise<number> {
  return waitFor("free ports", async () => {
    const [first = 0] = await freePorts(1);
    const all = await Promise.all(Array.from({ length: count }, (_, i) => isFree(first + i)));
    return all.every((free) => free) ? first : undefined;
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Shows the lines when it takes too long. */
async function find(up: Up, what: string, pattern: RegExp): Promise<RegExpExecArray> {
  try {
    return await waitFor(what, () => up.lines.map((line) => pattern.exec(line)).find((match) => match !== null), {});
  } catch (error) {
    throw new Error(`${String(error)}\n${up.lines.join("\n")}`);
  }
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

test.serial("up: the nodes see each other, a killed one is reported with how to start it again, Ctrl-C ends the rest", async (t) => {
  t.timeout(180_000);
  const port = await freeRange(2);
  const data = await temporaryFolder(t);
  const up = run(t, ["up", "--nodes=2", `--port=${port}`, `--data=${data}`, "--pingfreq=1", "--timeout=2"]);
  const kill = await find(up, "the guide", /^ {2}kill (\d+)$/);
  const killed = Number(kill[1]);
  await find(up, "its end", /^Ctrl-C stops all of them\.$/);
  t.true(up.lines.some((line) => /^node1 \| Peer http:\/\/localhost:\d+ is up$/.test(line)));
  t.false(
    up.lines.some((line) => line.includes("\u001b")),
    "no colours where nobody looks",
  );
  const [one, two] = [port, port + 1].map((at) => createClient({ node: `http://127.0.0.1:${at}` })) as [
    ReturnType<typeof createClient>,
    ReturnType<typeof createClient>,
  ];
  t.teardown(() => [one, two].forEach((client) => client.close()));
  await one.put("hello", "world");
  await waitFor("the other node", async () => (await two.get("hello")) === "world");

  process.kill(killed, "SIGKILL");
  const typed = `node ${MAIN.join(" ").replaceAll(".", "\\.")}`;
  const report = await find(
    up,
    "the report",
    new RegExp(`^node2 \\(pid (\\d+)\\) was killed by SIGKILL; to start it again: ${typed} (.*)$`),
  );
  t.is(Number(report[1]), killed);
  await one.put("missed", "while away");
  const again = run(t, (report[2] ?? "").split(" "));
  await waitFor("what it has missed", async () => (await two.get("missed").catch(() => undefined)) === "while away");

  up.child.kill("SIGINT");
  // npm passes on the signal that the terminal has sent already.
  up.child.kill("SIGINT");
  t.deepEqual(await up.exited, { code: 0, signal: null }, up.lines.join("\n"));
  t.is(again.child.exitCode, null, "what was started elsewhere stays");
  t.is(await two.get("missed"), "while away");
  await t.throwsAsync(() => one.get("missed"), { message: /^no node answers at / });
});

test.serial("up: with a cluster key the nodes sign; when it is killed itself, its nodes end as well", async (t) => {
  t.timeout(180_000);
  const port = await freeRange(2);
  const key = await clusterKeyFile(t);
  const up = run(t, ["up", "--nodes=2", `--port=${port}`, "--memory", `--cluster-key-file=${key}`]);
  await find(up, "the guide", /^Ctrl-C stops all of them\.$/);
  t.is(up.lines.filter((line) => line.includes("| peers sign with the cluster key")).length, 2);
  t.is(up.lines.filter((line) => line.endsWith("All peers are up")).length, 2);
  const pids = up.lines.flatMap((line) => /^ {2}node\d .* pid (\d+) /.exec(line)?.[1] ?? []).map(Number);
  t.is(pids.length, 2);
  up.child.kill("SIGKILL");
  await waitFor("the nodes to end", () => !pids.some(isRunning));
  t.deepEqual(await up.exited, { code: null, signal: "SIGKILL" });
});

test.serial("up: a port in use is said in one line, before anything is started", async (t) => {
  t.timeout(90_000);
  const port = await freeRange(2);
  const server = createServer().listen(port + 1, "127.0.0.1");
  t.teardown(() => server.close());
  const up = run(t, ["up", "--nodes=2", `--port=${port}`, "--memory"]);
  t.deepEqual(await up.exited, { code: 2, signal: null });
  t.deepEqual(up.lines, [
    `concord up: port ${port + 1} is in use: stop what listens there, or choose others, such as --port=${port + 1_000} (npm start -- --port=${port + 1_000})`,
  ]);
});
