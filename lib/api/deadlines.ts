/**
 * A deadline for every request, whatever its handler waits for, by one look a second instead of one timer a request.
 *
 * What counts is progress, not time: the store may take minutes to stream to a client that keeps reading, and a client that has stopped
 * reading is cut. A socket carries one request at a time, so there is one record a socket.
 */
import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Server as TlsServer } from "node:tls";

interface Watched {
  outgoing: ServerResponse | undefined;
  bytesWritten: number;
  /** Looks since the socket was last seen to move. */
  looks: number;
}

export interface Deadlines {
  /** A request has come. */
  watch(outgoing: ServerResponse): void;
  stop(): void;
}

const LOOK_EVERY_MS = 1_000;

const LATE = '{"error":"the request took too long; what it wrote, if anything, may be stored"}';
const LATE_ANSWER = [
  "HTTP/1.1 503 Service Unavailable",
  "content-type: application/json",
  `content-length: ${LATE.length}`,
  "connection: close",
  "",
  LATE,
].join("\r\n");

export function createDeadlines(server: Server, limitMs: number): Deadlines {
  const sockets = new Map<Socket, Watched>();
  server.on(server instanceof TlsServer ? "secureConnection" : "connection", (socket: Socket) => {
    sockets.set(socket, { outgoing: undefined, bytesWritten: 0, looks: 0 });
    socket.once("close", () => sockets.delete(socket));
  });

  const look = (): void => {
    for (const [socket, watched] of sockets) {
      if (watched.outgoing === undefined) continue;
      if (watched.outgoing.writableFinished) watched.outgoing = undefined;
      else if (socket.bytesWritten !== watched.bytesWritten) Object.assign(watched, { bytesWritten: socket.bytesWritten, looks: 0 });
      else if (++watched.looks * LOOK_EVERY_MS > limitMs) cut(socket, watched.outgoing);
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
    stop: () => clearInterval(timer),
  };
}

/** Past the response object: its handler may still come back to it, and must find it untouched. */
function cut(socket: Socket, outgoing: ServerResponse): void {
  if (outgoing.headersSent) socket.destroy();
  else socket.end(LATE_ANSWER, () => socket.destroy());
}
