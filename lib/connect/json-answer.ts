/** Answers in JSON. What is none comes from something that is no node, such as a proxy or a login page. */
import { ClientError } from "./error.ts";
import type { Reply } from "./exchange.ts";

/** Throws `not-a-node`. */
export function jsonIn({ node, status, bytes }: Reply): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new ClientError("not-a-node", `what answers at ${node} is not a Concord node`, { status, node, cause });
  }
}
