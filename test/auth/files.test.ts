/** The files of keys and tokens: what is taken, and what is refused, without a word of what is in them. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import test from "ava";
import { createClusterKey, readClusterKeys } from "../../lib/auth/cluster-key.ts";
import { linesOf, readTextFile } from "../../lib/auth/secret-file.ts";
import { createToken, readClientToken, readTokens } from "../../lib/auth/tokens.ts";
import { ConcordError } from "../../lib/core/errors.ts";
import { READ_TOKEN, secretFile, secretFolder, TOKEN_LINES, WRITE_TOKEN } from "../support/secrets.ts";

const refused = (message: RegExp) => ({ instanceOf: ConcordError, code: "invalid", message });

test("a secret that others can read or change is refused, with what to type", async (t) => {
  for (const mode of [0o604, 0o640, 0o660, 0o602, 0o620, 0o644, 0o666]) {
    const path = await secretFile(t, TOKEN_LINES);
    chmodSync(path, mode);
    t.throws(() => readTextFile(path, "the file", "owner"), refused(new RegExp(`other users: type chmod 600 ${path}$`)), mode.toString(8));
    t.is(readTextFile(path, "the file", "anybody"), TOKEN_LINES);
  }
  for (const mode of [0o600, 0o400, 0o700]) {
    const path = await secretFile(t, TOKEN_LINES);
    chmodSync(path, mode);
    t.is(readTextFile(path, "the file", "owner"), TOKEN_LINES);
  }
});

test("no file, a folder, a device and a large file are refused", async (t) => {
  const folder = await secretFolder(t);
  t.throws(() => readTextFile(`${folder}/none`, "the file", "owner"), refused(/^the file .*none cannot be read: there is no such file$/));
  mkdirSync(`${folder}/sub`);
  t.throws(() => readTextFile(`${folder}/sub`, "the file", "owner"), refused(/is not a file$/));
  t.throws(() => readTextFile("/dev/zero", "the file", "anybody"), refused(/is not a file$/));
  writeFileSync(`${folder}/large`, Buffer.alloc(300_000), { mode: 0o600 });
  t.throws(() => readTextFile(`${folder}/large`, "the file", "owner"), refused(/has 300000 bytes; 262144 are the most/));
});

test("lines: comments and empty ones say nothing", (t) => {
  t.deepEqual(linesOf("\ufeff# a\r\n\r\n  one # said\n\ttwo\n#three\nfour#4"), [
    { number: 3, text: "one" },
    { number: 4, text: "two" },
    { number: 6, text: "four#4" },
  ]);
});

test("a key file holds one key or two, and a good one is made", async (t) => {
  const [one, two] = [createClusterKey(), createClusterKey()];
  t.not(one, two);
  t.regex(one, /^[\w-]{43}$/);
  const keys = readClusterKeys(await secretFile(t, `# new\n${one}\n# old\n${two}\n`));
  t.deepEqual(
    keys.map((key) => key.export().toString()),
    [one, two],
  );
  t.throws(() => readClusterKeys("/dev/null"), refused(/is not a file/));
  const bad: readonly (readonly [text: string, why: RegExp])[] = [
    ["# nothing\n", /holds no key: concord keygen FILE makes one/],
    [`${one}\n${two}\n${one}\n`, /holds 3 keys/],
    [`${one}\nshort-secret\n`, /line 2: a key has 32 to 1024 characters/],
    ["x".repeat(1_025), /line 1: a key has/],
  ];
  for (const [text, why] of bad) {
    const path = await secretFile(t, text);
    const error = t.throws(() => readClusterKeys(path), refused(why));
    t.notRegex(error?.message ?? "", /short-secret|xxxx/);
  }
});

test("tokens have roles; anything else has none", async (t) => {
  const path = await secretFile(t, `# two\n${TOKEN_LINES}`);
  const tokens = readTokens(path);
  t.is(tokens.roleOf(READ_TOKEN), "ro");
  t.is(tokens.roleOf(WRITE_TOKEN), "rw");
  for (const token of ["", "ro", `${READ_TOKEN}x`, READ_TOKEN.slice(1), READ_TOKEN.toUpperCase(), `rw ${WRITE_TOKEN}`]) {
    t.is(tokens.roleOf(token), undefined, token);
  }
  t.is(readClientToken(path), READ_TOKEN, "the first of the node's own file");
  t.is(readClientToken(await secretFile(t, `# mine\n${WRITE_TOKEN}\n`)), WRITE_TOKEN, "or a file with nothing but a token");
  t.is(readTokens(await secretFile(t, `rw ${createToken()} # made\n`)).roleOf("x"), undefined);
});

test("a token file that is not one is refused, and no token is in the refusal", async (t) => {
  const bad: readonly (readonly [text: string, why: RegExp])[] = [
    ["", /holds no token: concord keygen --tokens FILE/],
    ["secret-secret-secret\n", /line 1: a line is "ro TOKEN" or "rw TOKEN"/],
    ["admin secret-secret-secret\n", /line 1: a line is/],
    ["\nrw secret-secret-secret two\n", /line 2: a line is/],
    ["rw secret\n", /line 1: a token has 16 to 512 characters/],
    ['rw secret-secret-secret"\n', /line 1: a token is made of letters/],
    ["ro secret-secret-secret\nrw secret-secret-secret\n", /line 2: the token is there already/],
    [Array.from({ length: 65 }, (_, i) => `ro secret-secret-secret-${i}\n`).join(""), /holds 65 tokens; 64 are the most/],
  ];
  for (const [text, why] of bad) {
    const path = await secretFile(t, text);
    const error = t.throws(() => readTokens(path), refused(why));
    t.notRegex((error?.message ?? "").replace(path, ""), /secret-|rw secret/);
  }
  const path = await secretFile(t, "secret\n");
  t.throws(() => readClientToken(path), refused(/a token has 16/));
});
