/** POST /v1/batch: several writes that become durable on one node together. In a session each carries the token of its key. */
import { ClientError } from "./error.ts";
import { jsonIn } from "./json-answer.ts";
import type { Nodes } from "./nodes.ts";
import type { Memory } from "./session.ts";
import type { BatchOperation, BatchResult, CallOptions, Calls } from "./types.ts";
import { carry, jsonOf } from "./value.ts";

type Operation = BatchOperation<Record<string, unknown>>;

export function createBatch(nodes: Nodes, memory: Memory | undefined): Calls<Record<string, unknown>>["batch"] {
  const send = async (
    operations: readonly Operation[],
    { signal, copies = 1 }: CallOptions & { readonly copies?: number },
  ): Promise<readonly BatchResult[]> => {
    const body = jsonOf({ operations: operations.map((operation) => wireOf(operation, memory)) });
    const path = copies === 1 ? "/v1/batch" : `/v1/batch?w=${copies}`;
    const headers = { "content-type": "application/json" };
    const ask = { method: "POST", path, headers, body, signal, fine: [200] } as const;
    const reply = await nodes.ask({ kind: "write", ask, waitsForCopies: copies > 1 });
    const { results } = jsonIn(reply) as { readonly results: readonly BatchResult[] };
    for (const { key, changed, token } of results) {
      if (changed) memory?.saw(key, token);
      else memory?.sawNothing(key);
    }
    return results;
  };
  return (operations, options = {}) => {
    const keys = operations.map(({ key }) => key);
    return memory === undefined ? send(operations, options) : memory.inOrder(keys, () => send(operations, options));
  };
}

/** Throws `invalid`. */
function wireOf(operation: Operation, memory: Memory | undefined): Readonly<Record<string, unknown>> {
  const { op, key, ifMatch, ifAbsent } = operation;
  if (ifMatch !== undefined && ifAbsent === true)
    throw new ClientError("invalid", `the operation on ${JSON.stringify(key)} has ifMatch and ifAbsent`);
  const condition = { ifMatch, ifNoneMatch: ifAbsent === true ? "*" : undefined };
  const isFree = ifMatch === undefined && ifAbsent !== true;
  const ttl = "ttlMs" in operation && operation.ttlMs !== undefined ? operation.ttlMs / 1000 : undefined;
  if (op === "touch") return { op, key, ttl, ...condition };
  const token = operation.token ?? (isFree ? memory?.seenOf(key)?.token : undefined);
  if (op === "delete") return { op, key, token, ...condition };
  return { op, key, ...carry(operation.value, operation.contentType), ttl, token, ...condition };
}
