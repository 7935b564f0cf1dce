/** `concord conflicts`, `resolve` and `why` against a node. */
import test from "ava";
import { conflicts, resolve } from "../../cmd/conflicts.ts";
import { renderWhy, why, type Why } from "../../cmd/why.ts";
import { startTestNode } from "../support/nodes.ts";
import { runCommand } from "./terminal.ts";

test("conflicts are listed, and resolve writes one value in place of those that it has seen", async (t) => {
  const { url, kv } = await startTestNode(t);
  const node = `--node=${url}`;
  const split = async (key: string): Promise<void> => {
    await kv.write([{ key, value: Buffer.from("1.0") }]);
    await kv.write([{ key, value: Buffer.from([1, 2]), contentType: "image/png", beside: true }]);
  };
  for (const key of ["a", "b", "c/d"]) await split(key);
  t.is((await runCommand(conflicts, [node])).stdout, "a\t2 values\tlatest\nb\t2 values\tlatest\nc/d\t2 values\tlatest\n");
  t.is((await runCommand(conflicts, [node, "--prefix=c"])).stdout, "c/d\t2 values\tlatest\n");
  const unclear = await runCommand(resolve, ["a", node], { stdin: "" });
  t.deepEqual([unclear.exitCode, kv.get("a")!.siblings], [2, 2]);
  t.is((await runCommand(resolve, ["a", node, "--latest"])).stdout, "OK\n");
  t.deepEqual([kv.get("a")!.contentType, [...kv.get("a")!.value], kv.get("a")!.siblings], ["image/png", [1, 2], 1]);
  const json = kv.siblings("b").find(({ contentType }) => contentType === "")!;
  t.is((await runCommand(resolve, ["b", node, "--take=nothing"])).exitCode, 2);
  t.like(await runCommand(resolve, ["b", node, `--take=${json.dot}`]), { stdout: "OK\n", failure: "" });
  t.is(Buffer.from(kv.get("b")!.value).toString(), "1.0", "as it was written");
  t.is((await runCommand(resolve, ["c/d", node, "--value=two words"])).stdout, "OK\n");
  t.is(Buffer.from(kv.get("c/d")!.value).toString(), '"two words"');
  t.is((await runCommand(conflicts, [node])).stdout, "");
  t.is((await runCommand(resolve, ["a", node, "--latest"])).exitCode, 1);
  t.is((await runCommand(resolve, ["a", node, "--latest", "--value=1"])).exitCode, 2);
});

test("why draws what is known, in a pipe as plain text", async (t) => {
  const { url, kv } = await startTestNode(t);
  for (const text of ["1", "2", '"\\u001b[31m"']) await kv.write([{ key: "k", value: Buffer.from(text) }]);
  const { stdout } = await runCommand(why, ["k", `--node=${url}`]);
  t.regex(stdout, /^k {2}"\\u001b\[31m"\n {2}it is the only value/);
  t.is(stdout.match(/replaced/g)!.length, 2);
  t.regex(stdout, /\n {2}\* [0-9a-f]{16}:3 .*\n {2}\|-- replaced [0-9a-f]{16}:2 .*\n {2}\| {2}-- replaced [0-9a-f]{16}:1 /);
  t.regex(stdout, /who holds it\n.*the node that was asked\n$/);
  t.like(JSON.parse((await runCommand(why, ["k", `--node=${url}`, "--json"])).stdout), { key: "k", rule: "latest" });
  t.regex((await runCommand(why, ["none", `--node=${url}`])).stdout, /\(nothing\)\n {2}the key holds nothing/);
});

test("what replaced each other in a ring, as a broken node may say, ends", (t) => {
  const gone = [
    { dot: "a:1", by: ["b:1"] },
    { dot: "b:1", by: ["a:1"] },
  ];
  const write = { dot: "c:1", node: "n", time: "", replaced: ["a:1"], bytes: 1, value: 1 };
  const about: Why = { key: "k", rule: "latest", because: "", writes: [write], gone, holders: [] };
  t.is(renderWhy(about, (_colour, text) => text).match(/replaced/g)!.length, 2);
});
