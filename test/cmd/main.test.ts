/** The executable itself, as a process: what is printed where, and with which exit code. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import test from "ava";
import { startNode } from "../../lib/serve.ts";
import { MAIN, ROOT } from "../support/launch.ts";

const concord = [process.execPath, ...MAIN].join(" ");

interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function shell(line: string, env: Readonly<Record<string, string>> = {}): Promise<Result> {
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(CONCORD_|FORCE_COLOR$)/.test(name)));
  const child = spawn("sh", ["-c", line], { cwd: ROOT, env: { ...inherited, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) child[name].on("data", (chunk: Buffer) => (texts[name] += chunk.toString()));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, ...texts })));
}

test("--version, --help: on standard output, plain, exit code 0", async (t) => {
  const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, "utf8")) as { version: string };
  t.deepEqual(await shell(`${concord} --version`), { code: 0, stdout: `${version}\n`, stderr: "" });
  const help = await shell(`${concord} --help`);
  t.is(help.code, 0);
  t.is(help.stderr, "");
  for (const command of ["serve", "up", "put", "get", "del", "ls", "status", "repair", "keygen", "certs", "scrub", "simulate"])
    t.regex(help.stdout, new RegExp(`^ {2}${command} +\\w`, "m"));
  t.false(help.stdout.includes("\u001b"));
  t.deepEqual(await shell(`${concord} help serve`), await shell(`${concord} serve --help`));
});

test("no command: the help, on standard error, exit code 2", async (t) => {
  const { code, stdout, stderr } = await shell(concord);
  t.is(code, 2);
  t.is(stdout, "");
  t.regex(stderr, /\nUsage\n/);
});

const refused: readonly (readonly [argv: string, line: string])[] = [
  ["sreve", 'concord: unknown command "sreve"; did you mean serve? (concord --help)'],
  ["toString", /* no property of an object */ 'concord: unknown command "toString"; there are up, serve,'],
  ["-port=8001", "concord: unknown flag -port=8001: a command comes first; there are up, serve,"],
  ["serve -port=8001 --peers= --pingfrq=3", "concord serve: unknown flag --pingfrq; did you mean --pingfreq? (concord serve --help)"],
  [
    "serve --port=8001",
    "concord serve: --peers is missing: add --peers=http://localhost:8002,http://localhost:8003 (concord serve --help)",
  ],
  [
    "serve --port=8001 --peers= --host=0.0.0.0",
    "concord serve: --host=0.0.0.0 would let anybody on that network read and change the data:",
  ],
  [
    "serve --port=8001 --peers= --host=0.0.0.0 --insecure",
    "concord serve: with --host=0.0.0.0 the peers must be told where to find this node:",
  ],
  [
    "serve --port=8001 --peers= --tls-cert=a.crt",
    "concord serve: --tls-cert, --tls-key and --tls-ca are given together; concord certs makes the three files (concord serve --help)",
  ],
  ["serve --port=8001 --peers= --cluster-key-file=none", "concord serve: the cluster key file none cannot be read: there is no such file"],
  ["up --cluster-key-file=none", "concord up: the cluster key file none cannot be read: there is no such file"],
  [
    "get k --token=hunter2",
    "concord get: --token is no flag: every program on this machine can see what is typed; write the secret into a file, and give --token-file=FILE",
  ],
  ["serve --port=1 --peers= --cluster-key hunter2", "concord serve: --cluster-key is no flag: every program on this machine can see"],
  ["get k --token-file=none", "concord get: the token file none cannot be read: there is no such file"],
  [
    "certs --hosts=http://a:1",
    'concord certs: --hosts: "http://a:1" is not the name or the address of a host: leave out http:// and the port',
  ],
  ["serve --port=0 --peers=", "concord serve: with --port=0 say where the data goes: add --data=DIR, --id=NAME or --memory"],
  [
    "serve --port=0 --peers= --memory --scrub=nightly",
    'concord serve: scrub is "nightly", which is not cron text: write "0 3 * * *" for three in the night (UTC), every day',
  ],
  ["up --nodes=0", 'concord up: --nodes is a whole number from 1 to 16, not "0"'],
];

for (const [argv, line] of refused) {
  test(`refused in one line: concord ${argv}`, async (t) => {
    const { code, stdout, stderr } = await shell(`${concord} ${argv}`);
    t.is(code, 2);
    t.is(stdout, "");
    t.true(stderr.startsWith(line), stderr);
    t.is(stderr.split("\n").length, 2);
  });
}

test("a reader that has had enough is no failure: ls | head", async (t) => {
  const node = await startNode({ port: 0, peers: [], log: { silent: true } });
  t.teardown(() => node.stop());
  const write = (from: number): Promise<unknown> =>
    node.kv.write(Array.from({ length: 5_000 }, (_, i) => ({ key: `key ${from + i} ${"x".repeat(100)}`, value: Buffer.from("1") })));
  for (let from = 0; from < 20_000; from += 5_000) await write(from);
  const env = { CONCORD_NODE: `http://127.0.0.1:${node.port}` };
  const all = await shell(`${concord} ls | wc -l`, env);
  t.is(all.stdout.trim(), "20000");
  const { stdout, stderr } = await shell(`{ ${concord} ls; echo "exit code $?" >&2; } | head -n 1`, env);
  t.regex(stdout, /^key 0 x+\n$/);
  t.is(stderr, "exit code 0\n");
});

test("a missing key is exit code 1, a missing node 3, each in one line", async (t) => {
  const node = await startNode({ port: 0, peers: [], log: { silent: true } });
  t.teardown(() => node.stop());
  t.deepEqual(await shell(`${concord} get nobody --node=http://127.0.0.1:${node.port}`), {
    code: 1,
    stdout: "",
    stderr: "concord get: key not found: nobody\n",
  });
  const { code, stderr } = await shell(`${concord} get k --node http://127.0.0.1:1`);
  t.is(code, 3);
  t.regex(stderr, /^concord get: no node answers at http:\/\/127\.0\.0\.1:1 \(connection refused\); start one with: .*\n$/);
});
