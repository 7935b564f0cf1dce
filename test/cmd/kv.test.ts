/** The client's commands against a node in this process. */
import test, { type ExecutionContext } from "ava";
import { del, get, ls, put } from "../../cmd/kv.ts";
import { status } from "../../cmd/status.ts";
import { startNode, type RunningNode } from "../../lib/serve.ts";
import { runCommand, type Run, type RunOptions } from "./terminal.ts";

const commands = { put, get, del, ls, status };

async function start(t: ExecutionContext): Promise<(line: string[], options?: RunOptions) => Promise<Run>> {
  const node: RunningNode = await startNode({ port: 0, peers: [], log: { silent: true } });
  t.teardown(() => node.stop());
  const env = { CONCORD_NODE: `http://127.0.0.1:${node.port}` };
  return ([name = "", ...argv], options = {}) => runCommand(commands[name as keyof typeof commands], argv, { env, ...options });
}

test("put, get, del: results on standard output, a missing key is exit code 1", async (t) => {
  const run = await start(t);
  t.deepEqual(await run(["put", "hello", "world"]), { exitCode: 0, stdout: "OK\n", failure: "" });
  t.deepEqual(await run(["get", "hello"]), { exitCode: 0, stdout: "world\n", failure: "" });
  t.is((await run(["get", "hello", "--json"])).stdout, '"world"\n');
  t.deepEqual(await run(["del", "hello"]), { exitCode: 0, stdout: "OK\n", failure: "" });
  t.deepEqual(await run(["del", "hello"]), { exitCode: 1, stdout: "", failure: "key not found: hello" });
  t.deepEqual(await run(["get", "hello"]), { exitCode: 1, stdout: "", failure: "key not found: hello" });
});

test("put: JSON stays JSON to the digit, anything else is a string, with --string all is", async (t) => {
  const run = await start(t);
  const kept = async (...argv: string[]): Promise<string> => {
    t.is((await run(["put", "k", ...argv])).exitCode, 0);
    return (await run(["get", "k", "--json"])).stdout.trimEnd();
  };
  t.is(await kept("9007199254740993"), "9007199254740993");
  t.is(await kept("1.0"), "1.0");
  t.is(await kept("-5"), "-5");
  t.is(await kept("true"), "true");
  t.is(await kept('{"a": [1]}'), '{"a":[1]}');
  t.is(await kept('"quoted"'), '"quoted"');
  t.is(await kept("01234"), '"01234"');
  t.is(await kept("42", "--string"), '"42"');
  t.is(await kept("two words"), '"two words"');
  t.is(await kept(""), '""');
});

test("put: the value from standard input", async (t) => {
  const run = await start(t);
  t.is((await run(["put", "k"], { stdin: "from a pipe\n" })).exitCode, 0);
  t.is((await run(["get", "k", "--json"])).stdout, '"from a pipe"\n');
  t.is((await run(["put", "k", "-"], { stdin: "[1,\n2]\n" })).exitCode, 0);
  t.is((await run(["get", "k"])).stdout, "[1,2]\n");
  t.is((await run(["put", "k", "-"], { stdin: "" })).exitCode, 0);
  t.is((await run(["get", "k", "--json"])).stdout, '""\n');
  t.regex((await run(["put", "k"], { stdin: "" })).failure, /^the VALUE is missing/);
  t.regex((await run(["put", "k"])).failure, /^the VALUE is missing: write it after the key, or pipe it in$/);
  t.regex((await run(["put", "k", "-"], { stdin: Buffer.from([0x61, 0xff]) })).failure, /not valid UTF-8/);
});

test("keys of any kind, also those that a URL would change", async (t) => {
  const run = await start(t);
  for (const key of ["..", "a/b?c=d&e#f", "%2e", "ключ", "a b", "--", "-k"]) {
    t.is((await run(["put", "--", key, `of ${key}`])).exitCode, 0, key);
    t.is((await run(["get", "--", key])).stdout, `of ${key}\n`);
  }
  t.deepEqual((await run(["ls"])).stdout.split("\n"), ["%2e", "--", "-k", "..", "a b", "a/b?c=d&e#f", "ключ", ""]);
});

test("ls: keys, values, JSON lines, and escapes for what would steer a terminal", async (t) => {
  const run = await start(t);
  t.is((await run(["ls"])).stdout, "");
  await run(["put", "b", "2"]);
  await run(["put", "a\u001b[31m", '"x\\ty"']);
  t.is((await run(["ls"])).stdout, "a\\u001b[31m\nb\n");
  t.is((await run(["ls", "--values"])).stdout, 'a\\u001b[31m\t"x\\ty"\nb\t2\n');
  t.is((await run(["ls", "--json"])).stdout, '"a\\u001b[31m"\n"b"\n');
  t.is((await run(["ls", "--json", "--values"])).stdout, '{"key":"a\\u001b[31m","value":"x\\ty"}\n{"key":"b","value":2}\n');
  await run(["put", "b", "\u001b]0;title\u0007"]);
  t.is((await run(["get", "b"])).stdout, "\u001b]0;title\u0007\n", "a pipe gets what is stored");
  t.is((await run(["get", "b"], { isTTY: true })).stdout, "\\u001b]0;title\\u0007\n", "a terminal does not");
});

test("what the node refuses is exit code 3, with its words", async (t) => {
  const run = await start(t);
  const long = await run(["put", "k".repeat(2_000), "1"]);
  t.is(long.exitCode, 3);
  t.regex(long.failure, /^http:\/\/127\.0\.0\.1:\d+ refused: .*2000 bytes; 1024 are the most/);
  t.regex((await run(["put", "k", '{"a":1,"a":2}'])).failure, /refused: .*duplicate property "a"/);
  t.is((await run(["get", ""])).exitCode, 3);
});

test("no node: which address, and how to start one, exit code 3", async (t) => {
  for (const argv of [["get", "k"], ["ls"], ["status"]]) {
    const { exitCode, failure } = await runCommand(commands[argv[0] as keyof typeof commands], [
      ...argv.slice(1),
      "--node=http://127.0.0.1:1",
    ]);
    t.is(exitCode, 3);
    t.is(
      failure,
      "no node answers at http://127.0.0.1:1 (connection refused); start one with: concord serve --port=1 --peers=, or name another with --node",
    );
  }
});

test("status: the node, for people and for programs", async (t) => {
  const run = await start(t);
  await run(["put", "k", "1"]);
  const { stdout } = await run(["status"]);
  t.regex(stdout, /^node +localhost:\d+ {2}http:\/\/localhost:\d+, version \d+\.\d+\.\d+, up for \d+ s$/m);
  t.regex(stdout, /^keys +1$/m);
  t.regex(stdout, /^hash +[0-9a-f]+$/m);
  t.regex(stdout, /\nno peers\n$/);
  const answer = JSON.parse((await run(["status", "--json"])).stdout);
  t.is(answer.keys, 1);
  t.deepEqual(answer.peers, []);
});

test("help is printed, with examples, and names the environment", async (t) => {
  for (const [name, command] of Object.entries(commands)) {
    const { exitCode, stdout } = await runCommand(command, ["--help"]);
    t.is(exitCode, 0);
    t.regex(stdout, new RegExp(`^concord ${name}: `));
    t.regex(stdout, /\nExamples\n {2}# .+\n {2}concord /);
    t.regex(stdout, /CONCORD_/);
    t.false(stdout.split("\n").some((line) => line.length > 100));
  }
});
