/** What a node is told at its start, checked, with what is assumed where it is told nothing. */
import type { ReplicaDefaults } from "../config.ts";
import { NAME_BYTES_MAX } from "../core/codec.ts";
import { ConcordError } from "../core/errors.ts";
import type { Log, Storage } from "../core/ports.ts";
import type { CreateTicker } from "../runtime/cron.ts";
import type { LogOptions } from "../runtime/log.ts";

export interface ServeOptions {
  /** 0 takes any free one. */
  readonly port: number;
  /** The interface to listen on; 127.0.0.1 by default. */
  readonly hostname?: string | undefined;
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
  readonly pingEveryMs?: number | undefined;
  readonly timeoutMs?: number | undefined;
  /** A log, or how the standard one behaves. */
  readonly log?: Log | LogOptions | undefined;
  /** For tests and experiments: other values than those of config.ts. */
  readonly tuning?: Partial<ReplicaDefaults> | undefined;
  /** What ticks about once a second; cron by default. */
  readonly createTicker?: CreateTicker | undefined;
}

/** Throws `invalid`. */
export function checkOptions({ port, name, pingEveryMs, timeoutMs }: ServeOptions): void {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw invalid(`the port is ${port}; it is a whole number from 0 to 65535`);
  if (name === "" || Buffer.byteLength(name ?? "") > NAME_BYTES_MAX) throw invalid(`the name has 1 to ${NAME_BYTES_MAX} bytes`);
  checkMs("the time between pings", pingEveryMs);
  checkMs("the timeout", timeoutMs);
}

/** A base URL without its last slash. Throws `invalid`. */
export function baseUrl(text: string, what: string): string {
  const example = /^[\w.-]+(:\d+)?\/?$/.test(text) ? `: write http://${text.replace(/\/$/, "")}` : ", such as http://localhost:8002";
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) throw invalid(`${what} ${JSON.stringify(text)} is not a base URL${example}`);
  const { origin, pathname, search, hash, username, protocol } = new URL(text);
  if (search !== "" || hash !== "" || username !== "")
    throw invalid(`${what} ${JSON.stringify(text)} holds more than a host, a port and a path`);
  if (protocol !== "http:") throw invalid(`${what} ${JSON.stringify(text)}: nodes speak http with each other`);
  return origin + pathname.replace(/\/$/, "");
}

function checkMs(what: string, ms: number | undefined): void {
  if (ms !== undefined && !(ms > 0 && ms <= MS_MAX)) throw invalid(`${what} is ${ms / 1000} s; it is over 0 and at most a day`);
}

function invalid(message: string): ConcordError {
  return new ConcordError("invalid", message);
}

const MS_MAX = 86_400_000;
