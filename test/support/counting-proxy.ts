/**
 * A TCP proxy that counts: whatever connects to it is connected to the target, and every byte that passes is counted, headers and all.
 *
 * It counts what programs give to their sockets, not TCP's and IP's own headers. `up` is towards the target, `down` back from it. It
 * changes nothing, delays nothing on purpose, and half-closed connections stay half closed.
 */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

export interface CountingProxy {
  readonly port: number;
  readonly url: string;
  bytes(): { up: number; down: number };
  /** Connections that were opened since the start or the last `reset`. */
  connections(): number;
  /** All counts are 0 again; connections stay open. */
  reset(): void;
  /** Ends the connections at once, as a cable does that is pulled out, and lets go of the port. */
  close(): Promise<void>;
}

/** Sees what passes: on which connection, by its number, and which way. */
export type Tap = (chunk: Buffer, connection: number, way: "up" | "down") => void;

/** On this port, or any free one: closed and started again on the same port it is a network that was cut and has healed. */
export async function startCountingProxy(targetUrl: string, port = 0, tap?: Tap): Promise<CountingProxy> {
  const { hostname, port: targetPort } = new URL(targetUrl);
  const sockets = new Set<Socket>();
  const counts = { up: 0, down: 0, connections: 0 };
  let opened = 0;
  const count = (way: "up" | "down", connection: number) => (chunk: Buffer) => {
    counts[way] += chunk.length;
    tap?.(chunk, connection, way);
  };
  const keep = (socket: Socket): void => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  };
  const server = createServer({ allowHalfOpen: true }, (near) => {
    counts.connections++;
    const connection = opened++;
    const far = connect({ port: Number(targetPort), host: hostname, allowHalfOpen: true });
    keep(near);
    keep(far);
    far.on("data", count("down", connection));
    // What is sent to somebody who is not there does not cross: without the proxy there would be no connection.
    far.once("connect", () => near.on("data", count("up", connection)).pipe(far).pipe(near));
    // One side's end is the other's, after what is still on its way: neither may wait for ever.
    near.on("error", () => far.destroy()).on("close", () => far.destroySoon());
    far.on("error", () => near.destroy()).on("close", () => near.destroySoon());
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    url: `http://localhost:${address.port}`,
    bytes: () => ({ up: counts.up, down: counts.down }),
    connections: () => counts.connections,
    reset: () => void Object.assign(counts, { up: 0, down: 0, connections: 0 }),
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
