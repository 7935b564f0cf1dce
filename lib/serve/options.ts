/** What a node is told at its start, checked, with what is assumed where it is told nothing. */
import type { ReplicaDefaults } from "../config.ts";
import { NAME_BYTES_MAX } from "../core/codec.ts";
import { DEFAULT_HOSTNAME } from "../api/http.ts";
import { isLoopback } from "../auth/loopback.ts";
import type { TlsPaths } from "../auth/tls-files.ts";
import { ConcordError } from "../core/errors.ts";
import { POLICY_NAMES, POLICY_RULES_MAX, type PolicyRule } from "../core/policy/names.ts";
import type { Log, Storage } from "../core/ports.ts";
import { ENTRY_BYTES_MAX } from "../core/room.ts";
import type { CreateTicker } from "../runtime/cron.ts";
import type { LogOptions } from "../runtime/log.ts";

export interface ServeOptions extends NodeOptions {
  /** 0 takes any free one. */
  readonly port: number;
  /** The interface to listen on; 127.0.0.1 by default. One that other machines reach needs a cluster key, or `insecure`. */
  readonly hostname?: string | undefined;
}

/** What does not depend on where the node is reached. */
export interface NodeOptions {
  /** Holds the secret that the nodes of a cluster share: peers sign with it, and nothing unsigned is taken from a peer. */
  readonly clusterKeyFile?: string | undefined;
  /** Holds the tokens of clients. Without it a node with a cluster key answers clients on its own machine only. */
  readonly tokenFile?: string | undefined;
  /** PEM files: this node's certificate and its key, and the certificates of its cluster's CA. With them it speaks only TLS. */
  readonly tls?: TlsPaths | undefined;
  /** Origins such as https://app.example.com whose pages may use this node from a browser; its own may always. */
  readonly allowOrigins?: readonly string[] | undefined;
  /** Lets in whoever reaches the port: clients, and without a cluster key peers as well. */
  readonly insecure?: boolean | undefined;
  /** The base URL under which the peers know this node; http://localhost:<port> by default. */
  readonly address?: string | undefined;
  /** For people, for logs and for ties between concurrent writes; host and port of the address by default. */
  readonly name?: string | undefined;
  /** Base URLs of the peers; this node's own may be among them. */
  readonly peers: readonly string[];
  /** Where the data lies; undefined keeps it in memory. */
  readonly folder?: string | undefined;
  /** An open storage in place of those two; it is closed with the node. */
  readonly storage?: Storage | undefined;
  /** Bytes that a value may have; 1 MiB by default, 8 MiB at most. */
  readonly valueBytesMax?: number | undefined;
  readonly pingEveryMs?: number | undefined;
  readonly timeoutMs?: number | undefined;
  /** How concurrent values of keys merge; the latest for all keys without. All nodes of a cluster should be told the same. */
  readonly merge?: readonly PolicyRule[] | undefined;
  /** A log, or how the standard one behaves. */
  readonly log?: Log | LogOptions | undefined;
  /** For tests and experiments: other values than those of config.ts. */
  readonly tuning?: Partial<ReplicaDefaults> | undefined;
  /** What ticks about once a second; cron by default. */
  readonly createTicker?: CreateTicker | undefined;
}

/** Throws `invalid`. */
export function checkOptions(options: ServeOptions): void {
  const { port } = options;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw invalid(`the port is ${port}; it is a whole number from 0 to 65535`);
  checkNodeOptions(options);
  checkAccess(options);
}

/** Throws `invalid`. */
export function checkNodeOptions(options: NodeOptions): void {
  const { name, valueBytesMax, pingEveryMs, timeoutMs, tokenFile, clusterKeyFile, merge = [], allowOrigins = [] } = options;
  checkMerge(merge);
  for (const origin of allowOrigins) checkOrigin(origin);
  if (valueBytesMax !== undefined && !(Number.isInteger(valueBytesMax) && valueBytesMax >= 1 && valueBytesMax <= ENTRY_BYTES_MAX))
    throw invalid(`the most bytes of a value are ${valueBytesMax}; that is a whole number from 1 to ${ENTRY_BYTES_MAX}`);
  if (name === "" || Buffer.byteLength(name ?? "") > NAME_BYTES_MAX) throw invalid(`the name has 1 to ${NAME_BYTES_MAX} bytes`);
  checkMs("the time between pings", pingEveryMs);
  checkMs("the timeout", timeoutMs);
  if (tokenFile !== undefined && clusterKeyFile === undefined) {
    throw invalid("tokens for clients without a cluster key would leave the door for peers open: give a cluster key file too");
  }
}

/** As a browser writes it: lower case, and the port when it is not the usual one. */
function checkOrigin(given: string): void {
  if (/^https?:\/\//.test(given) && URL.canParse(given) && new URL(given).origin === given) return;
  const meant = URL.canParse(given) && /^https?:$/.test(new URL(given).protocol) ? new URL(given).origin : "https://app.example.com";
  throw invalid(`${JSON.stringify(given)} is not an origin: write it as browsers do, such as ${meant}`);
}

function checkAccess({ hostname = DEFAULT_HOSTNAME, clusterKeyFile, insecure = false }: ServeOptions): void {
  if (clusterKeyFile === undefined && !insecure && !isLoopback(hostname)) {
    throw invalid(`listening on ${hostname} would let anybody there read and change the data: give a cluster key file, or say insecure`);
  }
}

/** A base URL without its last slash. Throws `invalid`. */
export function baseUrl(given: string, what: string, { tls }: Pick<ServeOptions, "tls">): string {
  const text = given.replace(/\/\/.*@/s, "//…@");
  const example = /^[\w.-]+(:\d+)?\/?$/.test(text) ? `: write http://${text.replace(/\/$/, "")}` : ", such as http://localhost:8002";
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) throw invalid(`${what} ${JSON.stringify(text)} is not a base URL${example}`);
  const { origin, pathname, search, hash, username, protocol } = new URL(text);
  if (search !== "" || hash !== "" || username !== "")
    throw invalid(`${what} ${JSON.stringify(text)} holds more than a host, a port and a path`);
  if (tls !== undefined && protocol !== "https:") throw invalid(`${what} ${JSON.stringify(text)}: this node speaks TLS, so write https://`);
  return origin + pathname.replace(/\/$/, "");
}

function checkMerge(rules: readonly PolicyRule[]): void {
  if (rules.length > POLICY_RULES_MAX) throw invalid(`there are ${rules.length} merge policies; ${POLICY_RULES_MAX} are the most`);
  const seen = new Set<string>();
  for (const { prefix, policy } of rules) {
    if (!POLICY_NAMES.includes(policy)) throw invalid(`"${String(policy)}" is no merge policy; there are ${POLICY_NAMES.join(", ")}`);
    if (seen.has(prefix)) throw invalid(`the prefix ${JSON.stringify(prefix)} has two merge policies; leave one out`);
    seen.add(prefix);
  }
}

function checkMs(what: string, ms: number | undefined): void {
  if (ms !== undefined && !(ms > 0 && ms <= MS_MAX)) throw invalid(`${what} is ${ms / 1000} s; it is over 0 and at most a day`);
}

function invalid(message: string): ConcordError {
  return new ConcordError("invalid", message);
}

const MS_MAX = 86_400_000;
