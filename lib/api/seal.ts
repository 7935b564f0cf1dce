/**
 * Signs one answer on its way out, whatever made it: a route, a refusal, the handler of errors.
 *
 * It waits at the last door, because a Response that is opened to look at its body costs a hundred microseconds in the adapter, ten times what
 * the signature does. What is written is held until the end and goes out as a whole: answers to peers are frames, which are in memory anyway.
 */
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Seal } from "../auth/verifier.ts";

/** To be called before anything is written. */
export function sealAnswer(outgoing: ServerResponse, seal: Seal): void {
  const [writeHead, end] = [outgoing.writeHead.bind(outgoing), outgoing.end.bind(outgoing)];
  const chunks: Uint8Array[] = [];
  let head: OutgoingHttpHeaders = {};
  const keep = (chunk: unknown): void => {
    if (typeof chunk === "string") chunks.push(Buffer.from(chunk));
    else if (chunk instanceof Uint8Array) chunks.push(chunk);
  };
  const held = {
    writeHead(status: number, headers: OutgoingHttpHeaders = {}) {
      outgoing.statusCode = status;
      head = headers;
      return outgoing;
    },
    flushHeaders: () => undefined,
    write(chunk: unknown) {
      keep(chunk);
      return true;
    },
    end(chunk?: unknown) {
      keep(chunk);
      const body = chunks.length === 1 ? (chunks[0] as Uint8Array) : Buffer.concat(chunks);
      writeHead(outgoing.statusCode, { ...head, "authentication-info": seal(outgoing.statusCode, body) });
      return end(body);
    },
  };
  Object.assign(outgoing, held);
}
