/** What the routes under /v1 are given. */
import type { Kv } from "../../core/kv.ts";
import type { Log } from "../../core/ports.ts";
import type { Unread } from "../answer.ts";
import type { Bodies } from "../request.ts";

export interface ModernDeps {
  readonly kv: Kv;
  readonly bodies: Bodies;
  /** Is told of each answer that may be large. */
  readonly unread: Unread;
  readonly log: Log;
  /** Of the program, for the document. */
  readonly version: string;
  /** Aborted when the node begins to stop: whoever watches is let go, or the stop would wait for them. */
  readonly stopping: AbortSignal;
}
