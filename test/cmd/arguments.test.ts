import test from "ava";
import { environmentName, normalise, type ArgumentRules } from "../../cmd/arguments.ts";
import { Failure } from "../../cmd/exit.ts";
import { editDistance, suggest } from "../../cmd/suggest.ts";

const rules: ArgumentRules = {
  args: {
    port: { type: "string", valueHint: "8001", required: true },
    peers: { type: "string", valueHint: "URL" },
    pingfreq: { type: "string", valueHint: "10" },
    data: { type: "string", valueHint: "DIR" },
    memory: { type: "boolean" },
    file: { type: "positional", required: false },
  },
  conflicts: [["data", "memory"]],
  lists: ["peers"],
};

const put: ArgumentRules = {
  args: { key: { type: "positional", required: true }, value: { type: "positional", required: false }, json: { type: "boolean" } },
};

const accepted: readonly (readonly [argv: string, normalised: string])[] = [
  ["--port=8001", "--port=8001 --"],
  ["--port 8001", "--port=8001 --"],
  ["-port=8001", "--port=8001 --"],
  ["-port 8001 -memory", "--port=8001 --memory=true --"],
  ["--port=1 --peers=", "--port=1 --peers= --"],
  ["--port=1 --peers=a --peers=b,c", "--port=1 --peers=a,b,c --"],
  ["--port=1 --data=a=b", "--port=1 --data=a=b --"],
  ["--memory --port=1 file", "--memory=true --port=1 -- file"],
  ["--memory=false --port=1 --data=d", "--memory=false --port=1 --data=d --"],
  ["--no-memory --port=1", "--memory=false --port=1 --"],
  ["--port=1 -- --memory", "--port=1 -- --memory"],
];

for (const [argv, normalised] of accepted) {
  test(`accepted: ${argv}`, (t) => {
    t.is(normalise(argv.split(" "), rules, {}).argv.join(" "), normalised);
  });
}

const refused: readonly (readonly [argv: string, message: RegExp])[] = [
  ["", /^--port is missing: add --port=8001$/],
  ["--port", /^--port needs a value, such as --port=8001$/],
  ["--port --memory", /^--port needs a value/],
  ["--prot=1", /^unknown flag --prot; did you mean --port\?$/],
  ["-prot=1", /^unknown flag -prot; did you mean --port\?$/],
  ["--ping-freq=1", /did you mean --pingfreq\?$/],
  ["--pingFreq=1", /did you mean --pingfreq\?$/],
  ["--ping=1", /did you mean --pingfreq\?$/],
  ["--colour", /^unknown flag --colour; there are --port, --peers, --pingfreq, --data, --memory$/],
  ["--toString", /^unknown flag --toString/],
  ["--file=x --port=1", /^unknown flag --file/],
  ["--no-port", /^unknown flag --no-port/],
  ["--port=1 --port=2", /^--port is given twice$/],
  ["--port=1 --memory --data=d", /^--data and --memory exclude each other/],
  ["--port=1 --memory=perhaps", /^--memory is either true or false, not "perhaps"$/],
  ["--port=1 a b", /^unexpected argument "b"/],
];

for (const [argv, message] of refused) {
  test(`refused: ${argv}`, (t) => {
    const error = t.throws(() => normalise(argv === "" ? [] : argv.split(" "), rules, {}), { instanceOf: Failure, message });
    t.is(error?.exitCode, 2);
  });
}

test("a key and a value: negative numbers are values, a dash is standard input, a missing key is said", (t) => {
  t.deepEqual(normalise(["temperature", "-5.5"], put, {}).argv, ["--", "temperature", "-5.5"]);
  t.deepEqual(normalise(["k", "-"], put, {}).argv, ["--", "k", "-"]);
  t.deepEqual(normalise(["--json", "--", "-k", "--v"], put, {}).argv, ["--json=true", "--", "-k", "--v"]);
  t.throws(() => normalise([], put, {}), { message: "the KEY is missing" });
  t.throws(() => normalise(["k", "big", "world"], put, {}), {
    message: 'unexpected argument "world": put quotes around what holds spaces',
  });
});

test("help is found before anything is judged", (t) => {
  for (const flag of ["--help", "-h", "-help"]) t.true(normalise([flag, "--prot=1"], rules, {}).help);
  t.true(normalise(["--port=1", "--help"], rules, {}).help);
});

test("the environment fills what was not typed, and is checked alike", (t) => {
  t.is(environmentName("ping-freq"), "CONCORD_PING_FREQ");
  const from = (argv: string[], env: Record<string, string>): string => normalise(argv, rules, env).argv.join(" ");
  t.is(from([], { CONCORD_PORT: "1", CONCORD_PEERS: "" }), "--port=1 --peers= --");
  t.is(from(["--port=2"], { CONCORD_PORT: "1" }), "--port=2 --");
  t.is(from(["--port=2"], { CONCORD_MEMORY: "1" }), "--port=2 --memory=true --");
  t.is(from(["--port=2", "--memory"], { CONCORD_DATA: "d" }), "--port=2 --memory=true --", "what is typed beats what it excludes");
  t.is(from(["--port=2", "--data=d"], { CONCORD_MEMORY: "yes" }), "--port=2 --data=d --");
  t.throws(() => from(["--port=2"], { CONCORD_MEMORY: "perhaps" }), { message: /^CONCORD_MEMORY is either true or false/ });
  t.throws(() => from(["--port=2"], { CONCORD_MEMORY: "1", CONCORD_DATA: "d" }), { message: /exclude each other/ });
});

test("suggestions: near names, none for far ones", (t) => {
  const known = ["serve", "up", "put", "get", "del", "ls", "status", "simulate"];
  t.is(suggest("sreve", known), "serve");
  t.is(suggest("stat", known), "status");
  t.is(suggest("simlate", known), "simulate");
  t.is(suggest("STATUS", known), "status");
  t.is(suggest("delete", known), undefined);
  t.is(suggest("frobnicate", known), undefined);
  t.is(suggest("", known), undefined);
});

test("edit distance: one for each insertion, deletion, replacement and swap", (t) => {
  t.is(editDistance("", "abc"), 3);
  t.is(editDistance("port", "port"), 0);
  t.is(editDistance("prot", "port"), 1);
  t.is(editDistance("pot", "port"), 1);
  t.is(editDistance("kitten", "sitting"), 3);
});
