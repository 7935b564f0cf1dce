/**
 * A TCP proxy before a node that can do to its connections what networks do: pass, reset, swallow everything or one direction, delay, trickle.
 *
 * Order within a connection is kept, as TCP keeps it: what is delayed is delayed as a whole. When the fault ends, connections that have lost
 * bytes are reset; nobody may go on with them.
 */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import type { Teardown } from "../cluster/support.ts";

export type NetworkFault =
  | { readonly kind: "reset" }
  | { readonly kind: "silent" }
  /** The node hears its callers, and they do not hear it. */
  | { readonly kind: "deaf callers" }
  /** What is said to the node does not come; what it still has to say does. */
  | { readonly kind: "deaf node" }
  | { readonly kind: "delay"; readonly delayMs: number }
  | { readonly kind: "trickle"; readonly bytesPerTurn: number }
  /** Passes so many bytes towards the callers, then resets, connection by connection. */
  | { readonly kind: "reset midway"; readonly bytes: number };

export interface FaultyProxy {
  readonly url: string;
  /** Bytes that were passed on towards the node. */
  readonly bytesIn: number;
  begin(fault: NetworkFault): void;
  end(): void;
}

/** A trickle's turn. */
const TURN_MS = 20;

export async function openFaultyProxy(t: Teardown, port: number): Promise<FaultyProxy> {
  const sockets = new Set<Socket>();
  let fault: NetworkFault | undefined;
  let bytesIn = 0;
  const keep = (socket: Socket): void => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
  };
  const server = createServer((caller) => {
    keep(caller);
    if (fault?.kind === "reset") return void caller.resetAndDestroy();
    const node = connect({ port, host: "127.0.0.1" });
    keep(node);
    let answered = 0;
    const up = createPipe(node);
    const down = createPipe(caller);
    caller.on("data", (chunk: Buffer) => {
      if (fault?.kind === "silent" || fault?.kind === "deaf node") return;
      bytesIn += chunk.length;
      up(chunk, fault);
    });
    node.on("data", (chunk: Buffer) => {
      if (fault?.kind === "silent" || fault?.kind === "deaf callers") return;
      answered += chunk.length;
      if (fault?.kind === "reset midway" && answered > fault.bytes) return void caller.resetAndDestroy();
      down(chunk, fault);
    });
    caller.once("close", () => node.destroy());
    node.once("close", () => {
      if (fault?.kind !== "silent") caller.destroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    get bytesIn() {
      return bytesIn;
    },
    begin(next) {
      fault = next;
      if (next.kind === "reset") for (const socket of sockets) socket.resetAndDestroy();
    },
    end() {
      if (fault !== undefined) for (const socket of sockets) socket.resetAndDestroy();
      fault = undefined;
    },
  };
}

/** Passes chunks on in order, late or in crumbs when the fault says so. */
function createPipe(to: Socket): (chunk: Buffer, fault: NetworkFault | undefined) => void {
  let last: Promise<void> = Promise.resolve();
  let waiting = 0;
  return (chunk, fault) => {
    if (waiting === 0 && fault?.kind !== "delay" && fault?.kind !== "trickle") return void to.write(chunk);
    waiting++;
    last = last.then(async () => {
      if (fault?.kind === "delay") await pause(fault.delayMs);
      const crumb = fault?.kind === "trickle" ? fault.bytesPerTurn : chunk.length;
      for (let at = 0; at < chunk.length && !to.destroyed; at += crumb) {
        if (at > 0) await pause(TURN_MS);
        to.write(chunk.subarray(at, at + crumb));
      }
      waiting--;
    });
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
