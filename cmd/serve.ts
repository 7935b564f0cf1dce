/**
 * `concord serve`: one node, until it is told to stop or its storage fails.
 */
import { join } from "node:path";
import type { RunningNode, ServeOptions } from "../lib/serve.ts";
import { linesOfAccess } from "./access-lines.ts";
import { createCommand, type Terminal, type Values } from "./command.ts";
import { EXIT, Failure, nodeFailure, usageFailure } from "./exit.ts";
import { isLoopback } from "../lib/auth/loopback.ts";
import { POLICY_NAMES } from "../lib/core/policy/names.ts";
import { isWildcard, readBytes, readHost, readId, readMerge, readNodeUrl, readNodeUrls, readPort, readSeconds } from "./settings.ts";
import { listenForStop } from "./signals.ts";

/** Below it each node has a folder of its own. */
export const DATA_FOLDER = "data";

/** What one key may hold (lib/core/room.ts): a larger value would never be taken. */
const VALUE_BYTES_LIMIT = 8 * 1024 * 1024;

/** Those of the console as well. */
export const SERVE_ARGS = {
  port: { type: "string", valueHint: "8001", required: true, description: "The port to listen on." },
  peers: {
    type: "string",
    valueHint: "http://localhost:8002,http://localhost:8003",
    required: true,
    description: "The other nodes, with commas between them; --peers= for a node alone. They need not be up yet.",
  },
  pingfreq: { type: "string", valueHint: "10", default: "10", description: "Seconds from one ping of the peers to the next." },
  timeout: { type: "string", valueHint: "15", default: "15", description: "Seconds without an answer after which a peer is down." },
  id: { type: "string", valueHint: "node1", description: "The node's name in logs and answers. Default: localhost and its port." },
  data: {
    type: "string",
    valueHint: "DIR",
    description: `The folder for the data, made when missing. Default: ${DATA_FOLDER}/ and the id, or the port.`,
  },
  memory: { type: "boolean", description: "Keeps the data in memory: what is written here is gone when the node stops." },
  merge: {
    type: "string",
    valueHint: "cart:=union,config:=fields",
    default: "",
    description: `How concurrent values merge, by the beginning of the key: ${POLICY_NAMES.join(", ")}. The longest beginning counts; latest where none does.`,
  },
  "max-value": {
    type: "string",
    valueHint: "1MiB",
    default: "1MiB",
    description: "The largest value that is taken, in bytes, KiB or MiB; 8MiB at most.",
  },
  host: { type: "string", valueHint: "127.0.0.1", default: "127.0.0.1", description: "The interface to listen on." },
  "cluster-key-file": {
    type: "string",
    valueHint: "FILE",
    description: "The secret that all nodes of the cluster share, made by concord keygen. Peers sign with it; without it they are refused.",
  },
  "token-file": {
    type: "string",
    valueHint: "FILE",
    description: "What clients show, a line each: ro TOKEN or rw TOKEN. Without it, a node with a key has clients on this machine only.",
  },
  "tls-cert": {
    type: "string",
    valueHint: "node1.crt",
    description: "This node's certificate, made by concord certs: it then speaks only TLS 1.3.",
  },
  "tls-key": { type: "string", valueHint: "node1.key", description: "The certificate's private key." },
  "tls-ca": { type: "string", valueHint: "ca.crt", description: "The cluster's CA: peers show a certificate that it has signed." },
  "allow-origin": {
    type: "string",
    valueHint: "https://app.example.com",
    default: "",
    description: "Origins whose pages may use this node from a browser. Without, pages of other origins than its own are refused.",
  },
  insecure: { type: "boolean", description: "Lets in whoever reaches the --host: clients, and without a cluster key peers as well." },
  address: {
    type: "string",
    valueHint: "URL",
    description: "The URL under which the peers reach this node. Default: http://localhost, or the host, and the port.",
  },
} as const;

export const serve = createCommand({
  name: "serve",
  summary: "one node of the store",
  details: [
    "Any node takes reads and writes, also while others are away. Nodes ping each other and compare one hash; " +
      "where it differs, the missing entries are exchanged.",
    "A flag may have one dash or two, and its value after = or a space. SIGTERM or Ctrl-C: takes no more writes, finishes what " +
      "is in flight, closes the data, exits with 0. Exit code 4: the storage failed or could not be opened; the last line says why.",
  ],
  args: SERVE_ARGS,
  conflicts: [["data", "memory"]],
  lists: ["peers", "merge", "allow-origin"],
  examples: [
    ["concord serve --port=8001 --peers=http://localhost:8002,http://localhost:8003", "one of three nodes"],
    ["concord serve --port=8001 --peers= --memory", "a node alone, for a try"],
    [
      "concord serve --port=8001 --host=10.0.0.1 --peers=http://10.0.0.2:8001 --cluster-key-file=cluster.key --token-file=tokens",
      "one that other machines reach: see also concord keygen and concord certs",
    ],
    ["CONCORD_PORT=8001 CONCORD_PEERS=http://localhost:8002 concord serve --id=node1", "settings from the environment"],
  ],
  run: runNode,
});

async function runNode(values: Values<typeof SERVE_ARGS>, { exit, stdout, stderr }: Terminal): Promise<number> {
  const options = readOptions(values);
  const stop = listenForStop(() => {
    stderr.write("concord serve: stopped at once; what was acknowledged is safe\n");
    exit(EXIT.impatient);
  });
  // Loaded late: help and refused flags do not wait for the storage engine.
  const { startNode } = await import("../lib/serve.ts");
  const node: RunningNode = await startNode(options).catch((error: unknown) => {
    throw nodeFailure(error);
  });
  const say = (line: string): void => void stdout.write(`[${node.name}] ${line}\n`);
  say(`listens on ${node.address}, ${options.folder === undefined ? "keeps its data in memory" : `keeps its data in ${options.folder}`}`);
  for (const line of linesOfAccess(options)) say(line);
  if (process.connected) process.send?.({ listening: node.port });
  const failure = await Promise.race([node.failed, stop.asked]);
  await node.stop();
  stop.dispose();
  if (failure === undefined) {
    say("has stopped");
    return EXIT.done;
  }
  throw new Failure(EXIT.storage, `the node has stopped: ${failure.message}`, { cause: failure });
}

export function readOptions(values: Values<typeof SERVE_ARGS>): ServeOptions {
  const port = readPort("port", values.port, 0);
  const { "cluster-key-file": clusterKeyFile, "token-file": tokenFile, insecure } = values;
  const hostname = readHost("host", values.host, clusterKeyFile !== undefined || insecure);
  const tls = readTls(values);
  const id = values.id === undefined ? undefined : readId("id", values.id);
  return {
    port,
    hostname,
    address: readAddress(values, hostname, port),
    name: id,
    peers: readNodeUrls("peers", values.peers),
    folder: values.memory ? undefined : readFolder(values.data, id, port),
    valueBytesMax: readBytes("max-value", values["max-value"], VALUE_BYTES_LIMIT),
    pingEveryMs: readSeconds("pingfreq", values.pingfreq),
    timeoutMs: readSeconds("timeout", values.timeout),
    clusterKeyFile,
    tokenFile,
    tls,
    insecure,
    merge: readMerge("merge", values.merge),
    allowOrigins: values["allow-origin"].split(",").filter((origin) => origin !== ""),
  };
}

/** All three or none: each says to the node who it is, or whom it believes. */
function readTls({ "tls-cert": cert, "tls-key": key, "tls-ca": ca }: Values<typeof SERVE_ARGS>): ServeOptions["tls"] {
  if (cert === undefined && key === undefined && ca === undefined) return undefined;
  if (cert !== undefined && key !== undefined && ca !== undefined) return { cert, key, ca };
  throw usageFailure("--tls-cert, --tls-key and --tls-ca are given together; concord certs makes the three files");
}

function readAddress(values: Values<typeof SERVE_ARGS>, host: string, port: number): string | undefined {
  if (values.address !== undefined) return readNodeUrl("address", values.address);
  if (isLoopback(host)) return undefined;
  if (isWildcard(host)) {
    throw usageFailure(`with --host=${host} the peers must be told where to find this node: add --address=http://NAME:${port}`);
  }
  const scheme = values["tls-cert"] === undefined ? "http" : "https";
  return port === 0 ? undefined : `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function readFolder(data: string | undefined, id: string | undefined, port: number): string {
  if (data === "") throw usageFailure("--data is the name of a folder; for none, write --memory");
  if (data !== undefined) return data;
  if (id === undefined && port === 0) throw usageFailure("with --port=0 say where the data goes: add --data=DIR, --id=NAME or --memory");
  return join(DATA_FOLDER, id ?? String(port));
}
