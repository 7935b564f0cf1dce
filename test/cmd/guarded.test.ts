/** The commands that make keys and certificates, and the client's commands against a node that is guarded with what they have made. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import test from "ava";
import { linesOfAccess } from "../../cmd/access-lines.ts";
import { certs } from "../../cmd/certs.ts";
import { keygen } from "../../cmd/keygen.ts";
import { del, get, ls, put } from "../../cmd/kv.ts";
import { status } from "../../cmd/status.ts";
import { startTestNode } from "../support/nodes.ts";
import { secretFile, secretFolder } from "../support/secrets.ts";
import { runCommand } from "./terminal.ts";

test("keygen and certs make what a node and its clients need", async (t) => {
  const folder = await secretFolder(t);
  const [key, tokens, out] = [`${folder}/cluster.key`, `${folder}/tokens`, `${folder}/certs`];
  t.deepEqual(await runCommand(keygen, [key]), { exitCode: 0, stdout: `${key}\n`, failure: "" });
  t.is((await runCommand(keygen, ["--tokens", tokens])).exitCode, 0);
  t.is((await runCommand(certs, [`--out=${out}`, "--hosts=localhost"])).exitCode, 0);
  for (const file of [key, tokens, `${out}/localhost.key`, `${out}/ca.key`]) t.is(statSync(file).mode & 0o777, 0o600, file);
  t.regex(readFileSync(tokens, "utf8"), /^#.*\nrw [\w-]{32}\nro [\w-]{32}\n$/);

  const tls = { cert: `${out}/localhost.crt`, key: `${out}/localhost.key`, ca: `${out}/ca.crt` };
  const node = await startTestNode(t, { clusterKeyFile: key, tokenFile: tokens, tls });
  const asking = [`--node=${node.address}`, `--tls-ca=${tls.ca}`, `--token-file=${tokens}`];
  t.is((await runCommand(put, ["hello", "world", ...asking])).stdout, "OK\n");
  t.is((await runCommand(get, ["hello", ...asking])).stdout, "world\n");
  t.is((await runCommand(ls, asking)).stdout, "hello\n");
  t.regex((await runCommand(status, asking)).stdout, /^keys +1$/m);
  const env = { CONCORD_NODE: node.address, CONCORD_TLS_CA: tls.ca, CONCORD_TOKEN_FILE: tokens };
  t.is((await runCommand(get, ["hello"], { env })).stdout, "world\n");

  t.deepEqual(await runCommand(get, ["hello", ...asking.slice(0, 2)]), {
    exitCode: 3,
    stdout: "",
    failure: `${node.address} refused: a token is needed here: Authorization: Bearer TOKEN; name the file that holds one with --token-file`,
  });
  t.deepEqual(await runCommand(get, ["hello", asking[0]!, asking[2]!]), {
    exitCode: 3,
    stdout: "",
    failure: `no node answers at ${node.address} (its certificate is not signed by the CA that is trusted here); name the CA's file with --tls-ca`,
  });
  const reading = [...asking.slice(0, 2), `--token-file=${await secretFile(t, readFileSync(tokens, "utf8").replace(/^rw.*$/m, ""))}`];
  t.is((await runCommand(get, ["hello", ...reading])).stdout, "world\n");
  t.regex((await runCommand(del, ["hello", ...reading])).failure, /refused: this token may read and not write$/);
});

test("keygen overwrites nothing", async (t) => {
  const path = await secretFile(t, "precious");
  t.deepEqual(await runCommand(keygen, [path]), { exitCode: 2, stdout: "", failure: `${path} is there already, and is not overwritten` });
  t.is(readFileSync(path, "utf8"), "precious");
  t.regex((await runCommand(keygen, ["/no/such/folder/key"])).failure, /cannot be written: ENOENT$/);
});

test("certs: names and addresses, the same CA again, and nothing that others can read", async (t) => {
  const out = `${await secretFolder(t)}/certs`;
  const first = await runCommand(certs, [`--out=${out}`, "--hosts=n1.example.org,10.0.0.3", "--hosts=[fe80::1]", "--days=30"]);
  t.is(first.exitCode, 0);
  const files = [
    "10.0.0.3.crt",
    "10.0.0.3.key",
    "ca.crt",
    "ca.key",
    "fe80__1.crt",
    "fe80__1.key",
    "n1.example.org.crt",
    "n1.example.org.key",
  ];
  t.deepEqual(readdirSync(out).sort(), files);
  t.is(first.stdout.trimEnd().split("\n").length, files.length);
  const read = (name: string) => new X509Certificate(readFileSync(`${out}/${name}.crt`));
  const ca = read("ca");
  t.true(ca.ca);
  for (const [name, alternatives] of [
    ["n1.example.org", "DNS:n1.example.org"],
    ["10.0.0.3", "IP Address:10.0.0.3"],
    ["fe80__1", "IP Address:FE80:0:0:0:0:0:0:1"],
  ] as const) {
    const cert = read(name);
    t.is(cert.subjectAltName, alternatives);
    t.true(cert.checkIssued(ca) && cert.verify(ca.publicKey) && !cert.ca);
    t.true(cert.checkPrivateKey(createPrivateKey(readFileSync(`${out}/${name}.key`))));
    t.true(Date.parse(cert.validFrom) < Date.now() - 3_600_000, "also for a node whose clock is an hour behind");
    t.true(Math.abs(Date.parse(cert.validTo) - Date.now() - 30 * 86_400_000) < 600_000);
  }
  const again = await runCommand(certs, [`--out=${out}`, "--hosts=n1.example.org"]);
  t.regex(again.stdout, /ca\.crt .*\(as it was\)$/m);
  t.is(read("ca").fingerprint256, ca.fingerprint256);
  t.true(read("n1.example.org").verify(ca.publicKey));

  writeFileSync(`${out}/ca.key`, "no key");
  t.regex((await runCommand(certs, [`--out=${out}`, "--hosts=a"])).failure, /^the CA is not one that concord certs has made: /);
  t.regex((await runCommand(certs, [`--out=${out}/ca.crt`, "--hosts=a"])).failure, /cannot be written: (EEXIST|ENOTDIR)$/);
  for (const hosts of ["*.example.org", "a b", "a/b", "-a", "a..b", "a:80", "ca", ","]) {
    t.is((await runCommand(certs, [`--out=${out}`, `--hosts=${hosts}`])).exitCode, 2, hosts);
  }
});

test("serve says who may talk to it, and what can be read on the way", (t) => {
  const tls = { cert: "", key: "", ca: "" };
  const open = "what goes over the network can be read there, tokens and values alike: concord certs, and --tls-cert, encrypt it";
  t.deepEqual(linesOfAccess({}), []);
  t.deepEqual(linesOfAccess({ hostname: "::1", insecure: true }), []);
  t.deepEqual(linesOfAccess({ clusterKeyFile: "k" }), ["peers sign with the cluster key, clients are on this machine only"]);
  t.deepEqual(linesOfAccess({ hostname: "10.0.0.1", clusterKeyFile: "k", tokenFile: "t" }), [
    "peers sign with the cluster key, clients show a token",
    open,
  ]);
  t.deepEqual(linesOfAccess({ hostname: "10.0.0.1", clusterKeyFile: "k", tokenFile: "t", tls }), [
    "peers sign with the cluster key and show a certificate, clients show a token",
  ]);
  t.deepEqual(linesOfAccess({ hostname: "0.0.0.0", insecure: true }), ["anybody can be a peer, anybody can be a client", open]);
});
