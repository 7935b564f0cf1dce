/** The public names: a node to embed, a client to talk to one, and the errors of both. What is not here may change at any time. */
export { createClient } from "./client.ts";
export type { Client, ClientEntry, ClientOptions, JsonValue, WatchEvent } from "./client.ts";
export type { Condition } from "./core/condition.ts";
export { ConcordError } from "./core/errors.ts";
export type { ErrorCode } from "./core/errors.ts";
export type {
  Kv,
  KvEvent,
  KvListing,
  KvListOptions,
  KvOperation,
  KvReadOptions,
  KvReceipt,
  KvValue,
  KvWriteOptions,
  NodeStatus,
  RepairUnderWay,
} from "./core/kv.ts";
export type { RepairReceipt } from "./core/output.ts";
export type { Log, LogLevel } from "./core/ports.ts";
export type { MemberView } from "./core/status.ts";
export { createNode } from "./serve/embedded.ts";
export type { EmbeddedNode, EmbedOptions } from "./serve/embedded.ts";
export { startNode } from "./serve.ts";
export type { LogOptions, RunningNode, ServeOptions } from "./serve.ts";
