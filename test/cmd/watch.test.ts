/** `concord watch` as a process, against a node in this one that goes away and comes back. */
import { spawn } from "node:child_process";
import test from "ava";
import { watch } from "../../cmd/watch.ts";
import { startNode } from "../../lib/serve.ts";
import { MAIN, ROOT } from "../support/launch.ts";
import { until } from "../support/nodes.ts";
import { runCommand } from "./terminal.ts";

const log = { silent: true };

test("a line an event; a break is told and bridged, and what cannot be known is a reset", async (t) => {
  const first = await startNode({ port: 0, peers: [], log });
  const argv = [...MAIN, "watch", "--prefix=k", `--node=http://127.0.0.1:${first.port}`];
  const child = spawn(process.execPath, argv, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  t.teardown(() => child.kill());
  const json = spawn(process.execPath, [...argv, "--json"], { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  t.teardown(() => json.kill());
  let [text, lines, errors] = ["", "", ""];
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  json.stdout.on("data", (chunk: Buffer) => (lines += chunk.toString()));
  let tries = 0;
  await until(t, "both watch", async () => {
    await first.kv.write([{ key: "k/try", value: Buffer.from(String(++tries)) }]);
    return text !== "" && lines !== "";
  });
  await first.kv.write([
    { key: "other", value: Buffer.from("1") },
    { key: "k\u001b", value: Buffer.from('{"a":\n1.0}') },
    { key: "k2", value: Buffer.from("hi"), contentType: "text/plain" },
  ]);
  await first.kv.write([{ key: "k2", value: undefined }]);
  await until(t, "the deletion is told", () => text.includes("delete") && lines.includes("delete"));
  const told = text.split("\n").filter((line) => !line.includes("k/try"));
  t.deepEqual(told, ['put     k\\u001b\t{"a":1}', "put     k2\t2 bytes of text/plain", "delete  k2", ""]);
  const objects = lines.trimEnd().split("\n").map((line) => JSON.parse(line) as { kind: string; key: string; value?: unknown }); // prettier-ignore
  t.like(
    objects.find(({ key }) => key === "k\u001b"),
    { kind: "put", value: { a: 1 } },
  );
  t.true(lines.includes("1.0"));

  await first.stop();
  const second = await startNode({ port: first.port, peers: [], log });
  t.teardown(() => second.stop());
  await until(t, "it is back", () => text.includes("reset"));
  t.true(errors.includes("the connection broke"));
  await second.kv.write([{ key: "k9", value: Buffer.from("9") }]);
  await until(t, "it goes on", () => text.includes("k9\t9"));
});

test("a node that cannot be reached is exit code 3", async (t) => {
  const { exitCode, failure } = await runCommand(watch, ["--node=http://127.0.0.1:1"]);
  t.is(exitCode, 3);
  t.regex(failure, /no node answers/);
});
