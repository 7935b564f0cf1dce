/**
 * The client for programs: `import { connect } from "concord/client"`. Runs in Node and in browsers, on `fetch` alone, and depends on nothing.
 *
 *   const store = connect("http://localhost:8001");
 *   await store.put("hello", "world");
 *
 * The command line has a client of its own (client.ts): it shows values to the digit as they are stored, where this one gives them as JavaScript
 * has them.
 */
import { createCalls } from "./connect/calls.ts";
import { ClientError } from "./connect/error.ts";
import { createNodes } from "./connect/nodes.ts";
import { createMemory } from "./connect/session.ts";
import type { ConnectOptions, Connection, Session } from "./connect/types.ts";

export { ClientError } from "./connect/error.ts";
export type { ClientErrorCode } from "./connect/error.ts";
export type { Fetch } from "./connect/exchange.ts";
export type { SessionState } from "./connect/session.ts";
export type {
  BatchOperation,
  BatchResult,
  Calls,
  CallOptions,
  Change,
  Connection,
  ConnectOptions,
  Entry,
  Found,
  Incremented,
  ListOptions,
  PutOptions,
  ReadOptions,
  Receipt,
  Session,
  Watch,
  WatchOptions,
  WriteOptions,
} from "./connect/types.ts";

/** What a person waits for before they think that it hangs, and longer than a node waits for others (5 s). */
const TIMEOUT_MS = 10_000;

/** A cluster where every node holds everything has a handful. */
const NODES_MAX = 100;

/** Throws ClientError `invalid`. Nothing is sent before the first call. */
export function connect<S = Record<string, unknown>>(given: string | ConnectOptions): Connection<S> {
  const options = typeof given === "string" ? { nodes: [given] } : given;
  const { nodes: addresses, token, timeoutMs = TIMEOUT_MS } = options;
  if (addresses.length === 0 || addresses.length > NODES_MAX) {
    throw new ClientError("invalid", `${addresses.length} nodes were given; 1 to ${NODES_MAX} are taken`);
  }
  if (!(timeoutMs > 0)) throw new ClientError("invalid", `the timeout is ${timeoutMs} ms; it is over 0`);
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) throw new ClientError("invalid", "the token holds what no header may hold");
  // Looked up at each call: a program may put another one in the place of the platform's.
  const fetch = options.fetch ?? ((input: string, init: RequestInit) => globalThis.fetch(input, init));
  const nodes = createNodes(addresses.map(baseOf), { fetch, token, timeoutMs });
  const connection = {
    ...createCalls(nodes, undefined),
    session(state) {
      const memory = createMemory(state);
      return { ...createCalls(nodes, memory), save: () => memory.save() } satisfies Session;
    },
  } satisfies Connection;
  return connection as unknown as Connection<S>;
}

/** Without its last slash. */
function baseOf(address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "" || url.username !== "") {
    const shown = JSON.stringify(address.replace(/\/\/.*@/s, "//…@"));
    throw new ClientError("invalid", `${shown} is not the base URL of a node, such as http://localhost:8001`);
  }
  return url.origin + url.pathname.replace(/\/$/, "");
}
