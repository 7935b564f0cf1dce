/**
 * A deadline for every request, whatever its handler waits for, by one look a second instead of one timer a request.
 *
 * What counts is progress, not time: the store may take minutes to stream to a client that keeps reading, and a client that has stopped
 * reading is cut. A socket carries one request at a time, so there is one record a socket.
 */
import type { ServerResponse } from "node:http";
import type { Server, Socket } from "node:net";
import { Server as TlsServer } from "node:tls";

interface Watched {
  outgoing: ServerResponse | undefined;
  bytesTaken: number;
  /** Looks since the socket was last seen to move, or to have a request. */
  looks: number;
}

export interface Deadlines {
  /** A request has come. */
  watch(outgoing: ServerResponse): void;
  /** The response under way on this socket. */
  answering(socket: Socket): ServerResponse | undefined;
  /** Open sockets. */
  readonly connections: number;
  stop(): void;
}

const LOOK_EVERY_MS = 1_000;

/** A client that has taken nothing of its answer for so long has stopped reading, or has a line on which the rest would not arrive either. */
const STALLED_MS = 8_000;

/** Looks in a row at which a connection has no request, after which it makes room for others when there is a crowd. */
const IDLE_LOOKS_MAX = 2;

const LATE = '{"error":"the request took too long; what it wrote, if anything, may be stored"}';
const LATE_ANSWER = [
  "HTTP/1.1 503 Service Unavailable",
  "content-type: application/json",
  `content-length: ${LATE.length}`,
  "connection: close",
  "",
  LATE,
].join("\r\n");

/** From `crowdFrom` sockets on, those that do nothing are closed. */
export function createDeadlines(server: Server, limitMs: number, crowdFrom = Infinity): Deadlines {
  const sockets = new Map<Socket, Watched>();
  const stalledMs = Math.min(limitMs, STALLED_MS);
  server.on(server instanceof TlsServer ? "secureConnection" : "connection", (socket: Socket) => {
    sockets.set(socket, { outgoing: undefined, bytesTaken: 0, looks: 0 });
    socket.once("close", () => sockets.delete(socket));
  });

  const look = (): void => {
    for (const [socket, watched] of sockets) {
      if (watched.outgoing === undefined) {
        if (++watched.looks > IDLE_LOOKS_MAX && sockets.size >= crowdFrom) socket.destroy();
        continue;
      }
      const bytesTaken = bytesTakenOf(socket);
      if (watched.outgoing.writableFinished) Object.assign(watched, { outgoing: undefined, looks: 0 });
      else if (bytesTaken !== watched.bytesTaken) Object.assign(watched, { bytesTaken, looks: 0 });
      else if (++watched.looks * LOOK_EVERY_MS > (watched.outgoing.headersSent ? stalledMs : limitMs)) cut(socket, watched.outgoing);
    }
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
  return {
    watch(outgoing) {
      const watched = outgoing.socket === null ? undefined : sockets.get(outgoing.socket);
      if (watched === undefined) return;
      watched.outgoing = outgoing;
      watched.looks = 0;
    },
    answering: (socket) => sockets.get(socket)?.outgoing,
    get connections() {
      return sockets.size;
    },
    stop: () => clearInterval(timer),
  };
}

interface Handle {
  /** Bytes that the system has not taken yet. */
  readonly writeQueueSize?: number;
}

/**
 * A large answer is one write, and `bytesWritten` counts it when it is begun. How much of it is still to go only the handle knows, which
 * Node's own timeouts look at in the same way.
 */
function bytesTakenOf(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Handle | null };
  return socket.bytesWritten - (handle?.writeQueueSize ?? 0);
}

/** Past the response object: its handler may still come back to it, and must find it untouched. */
function cut(socket: Socket, outgoing: ServerResponse): void {
  if (outgoing.headersSent) socket.destroy();
  else socket.end(LATE_ANSWER, () => socket.destroy());
}
