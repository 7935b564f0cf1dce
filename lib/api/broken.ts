/**
 * The answer to what is no request: Node's parser gave up, or its clock did, before there was anything to route.
 *
 * Node alone would send a status without a word. Here the client reads what was wrong, as with any other refusal, and it is counted.
 */
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { targetBytesMax } from "./url.ts";

/** Of the request's line and its headers together: Node's own default. */
export const HEADERS_BYTES_MAX = 16 * 1024;

interface ParserError extends Error {
  readonly code?: string;
  /** What was being parsed when it failed. */
  readonly rawPacket?: Uint8Array;
}

/** Returns the status that was sent; undefined when there was nobody to tell. `answering`: the response under way on this socket. */
export function answerBroken(error: ParserError, socket: Socket, answering: ServerResponse | undefined): number | undefined {
  // What is broken came behind a whole request. A 400 now would be read as that one's answer, of a write that is being carried out.
  if (answering !== undefined && answering.req.complete && !answering.writableFinished && socket.writable) {
    socket.pause();
    answering.shouldKeepAlive = false;
    answering.once("close", () => socket.destroy(error));
    return undefined;
  }
  // In the middle of an answer a second one would be read as part of it; and what is no fault of HTTP, such as a handshake that does not
  // come, has nobody who could read one.
  const isOfHttp = error.code === "ERR_HTTP_REQUEST_TIMEOUT" || error.code?.startsWith("HPE_") === true;
  if (!isOfHttp || !socket.writable || answering?.headersSent === true) {
    socket.destroy(error);
    return undefined;
  }
  const [status, phrase, problem] = problemOf(error, socket);
  const body = `{"error":${JSON.stringify(problem)}}`;
  const head = [`HTTP/1.1 ${status} ${phrase}`, "content-type: application/json", `content-length: ${body.length}`, "connection: close"];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
  return status;
}

function problemOf({ code, rawPacket }: ParserError, socket: Socket): readonly [status: number, phrase: string, problem: string] {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return [408, "Request Timeout", "the request took too long to arrive"];
  if (code === "HPE_CHUNK_EXTENSIONS_OVERFLOW") return [413, "Content Too Large", "the body's chunk extensions are too large"];
  if (code !== "HPE_HEADER_OVERFLOW") return [400, "Bad Request", "this is not a request of HTTP/1.1"];
  if (isLongTarget(rawPacket, socket)) return [414, "URI Too Long", `the URL is longer than ${targetBytesMax} bytes`];
  return [431, "Request Header Fields Too Large", `the URL and the headers are larger than ${HEADERS_BYTES_MAX} bytes`];
}

/** Told from the connection's first packet; later ones do not show where a request begins. */
function isLongTarget(packet: Uint8Array | undefined, { bytesRead }: Socket): boolean {
  if (packet === undefined || packet.length !== bytesRead) return false;
  const lineEnd = packet.indexOf(0x0a);
  return (lineEnd < 0 ? packet.length : lineEnd) > targetBytesMax;
}
