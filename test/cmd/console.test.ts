/** `concord console`: its commands as functions of a line, and the whole of it as a process with a pipe. */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { backendOfNode } from "../../cmd/console/backends.ts";
import { clockOf, complete, execute } from "../../cmd/console/commands.ts";
import { consoleCommand } from "../../cmd/console.ts";
import { MAIN, ROOT } from "../support/launch.ts";
import { startTestNode } from "../support/nodes.ts";
import { runCommand } from "./terminal.ts";

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(t: ExecutionContext, argv: readonly string[], input: string): Promise<Ended> {
  const child = spawn(process.execPath, [...MAIN, "console", ...argv], { cwd: ROOT, stdio: "pipe" });
  t.teardown(() => child.kill());
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdin.end(input);
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

test("from a pipe each command has its answer, the end of the input ends it, and the value is there again after a restart", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "concord-console-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const argv = ["--port=0", "--id=node1", `--data=${folder}`, "--cli-only"];
  const first = await run(t, argv, "put chave valor\nget chave\nset frase duas palavras \nget frase\nget falta\nnodes\nsair\nget chave\n");
  t.deepEqual([first.code, first.stderr], [0, ""]);
  t.is(
    first.stdout,
    [
      "OK",
      "Value: valor, VectorClock: map[node1:1]",
      "OK",
      "Value: duas palavras, VectorClock: map[node1:2]",
      "Key not found.",
      "Node: node1, Status: alive",
      "Exiting...",
      "",
    ].join("\n"),
  );
  const second = await run(t, argv, "get chave\ndelete chave\ndelete chave\nget chave");
  t.deepEqual([second.code, second.stderr], [0, ""]);
  t.is(second.stdout, "Value: valor, VectorClock: map[node1:1]\nOK\nKey not found.\nKey not found.\n");
});

test("onto a node that runs; without --cli-only a node of its own says what it sees", async (t) => {
  const node = await startTestNode(t, { name: "remote" });
  const onto = await run(t, [`--node=${node.url}`], "put k [1, 2]\nget k\nput\nfoo\nnodes\nquit\n");
  t.deepEqual([onto.code, onto.stderr], [0, ""]);
  const lines = onto.stdout.split("\n");
  t.deepEqual(lines.slice(0, 3), ["OK", "Value: [1,2], VectorClock: map[remote:1]", "Usage: put KEY VALUE"]);
  t.deepEqual(lines.slice(4), ["Node: remote, Status: alive", "Exiting...", ""]);
  t.regex(lines[3]!, /^Unknown command: foo/);
  t.is(Buffer.from(node.kv.get("k")!.value).toString(), "[1,2]");
  t.is(node.lines.length, 0);
});

test("what cannot be is refused with the exit code that says so", async (t) => {
  t.is((await runCommand(consoleCommand, [], { stdin: "" })).exitCode, 2);
  t.is((await runCommand(consoleCommand, ["--node=http://127.0.0.1:1"], { stdin: "" })).exitCode, 3);
  t.is((await runCommand(consoleCommand, ["--node=http://127.0.0.1:1", "--port=0"], { stdin: "" })).exitCode, 2);
});

test("commands: help, spaces, refusals, values of every kind", async (t) => {
  const node = await startTestNode(t, { name: "n" });
  const backend = backendOfNode(node);
  const say = async (line: string): Promise<string> => (await execute(backend, line)).text;
  t.is(await say("   "), "");
  for (const name of ["put", "get", "delete", "nodes", "help", "exit"]) t.true((await say("help")).includes(name), name);
  t.is(await say("  PUT   k   two  words  "), "OK");
  t.is(await say("get k"), "Value: two  words, VectorClock: map[n:1]");
  t.is(await say("put n 2.50"), "OK");
  t.is(await say("get n"), "Value: 2.50, VectorClock: map[n:2]");
  t.is(await say('put e "\\u001b[2J"'), "OK");
  t.is(await say("get e"), "Value: \\u001b[2J, VectorClock: map[n:3]");
  t.regex(await say(`get ${"k".repeat(2000)}`), /^Error: the key has 2000 bytes/);
  t.is(await say("get a b"), "Usage: get KEY");
  t.is(await say("constructor"), "Unknown command: constructor (help lists the commands)");
  t.true((await execute(backend, "exit")).ends);
  await node.kv.write([{ key: "bin", value: Buffer.from([1]), contentType: "image/png" }]);
  t.is(await say("get bin"), "Value: 1 bytes of image/png, VectorClock: map[n:4]");
});

test("the tab key completes commands, and keys where a key belongs", async (t) => {
  const node = await startTestNode(t);
  for (const key of ["user/1", "user/2", "with space", "other"]) await node.kv.write([{ key, value: Buffer.from("1") }]);
  const backend = backendOfNode(node);
  t.deepEqual(await complete(backend, "ge"), [["get "], "ge"]);
  t.deepEqual((await complete(backend, ""))[0].length, 10);
  t.deepEqual(await complete(backend, "get us"), [["user/1", "user/2"], "us"]);
  t.deepEqual(await complete(backend, "set "), [["other", "user/1", "user/2"], ""]);
  t.deepEqual((await complete(backend, "put other val"))[0], []);
  t.deepEqual((await complete(backend, "nodes u"))[0], []);
});

test("the vector clock names each writer once, by name, with its last write", (t) => {
  t.is(clockOf([]), "map[]");
  t.is(
    clockOf([
      { node: "node2", counter: 3 },
      { node: "node1", counter: 7 },
      { node: "node2", counter: 1 },
    ]),
    "map[node1:7 node2:3]",
  );
});
