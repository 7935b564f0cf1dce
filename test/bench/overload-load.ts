/**
 * The load of the overload bench, as a process of its own: writes at a steady rate whatever the answers (an open loop), each on a connection that
 * waits for nothing, or on a new one while there may be more. A client that is told to come back later does so, after the second that it is
 * told to wait. Raw sockets and one prepared text, so that sending costs less than serving.
 */
import { connect, type Socket } from "node:net";

export interface LoadOrder {
  readonly port: number;
  /** Requests a second; null sends the next as soon as an answer is there. */
  readonly rate: number | null;
  readonly socketsMax: number;
  readonly seconds: number;
}

export interface LoadResult {
  /** Requests that were to be sent. */
  due: number;
  sent: number;
  stored: number;
  /** 503 with Retry-After. */
  refused: number;
  /** Any other answer. */
  other: number;
  /** Connections that were closed or reset before an answer. */
  cut: number;
  seconds: number;
}

const EVERY_MS = 5;
const RETRY_AFTER_MS = 1_000;
const body = JSON.stringify({ key: "KEY00000000", value: "x".repeat(80) });
const head = `POST /store HTTP/1.1\r\nHost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;

const { port, rate, socketsMax, seconds } = JSON.parse(process.argv[2] ?? "") as LoadOrder;
const result: LoadResult = { due: 0, sent: 0, stored: 0, refused: 0, other: 0, cut: 0, seconds };
const idle: Socket[] = [];
/** Clients: connections, and those that wait before they connect again. */
let open = 0;
let over = false;

function send(socket: Socket): void {
  result.sent++;
  const key = `KEY${String((result.sent * 7919) % 1_000_003).padStart(8, "0")}`;
  socket.write(head + body.replace("KEY00000000", key));
}

function add(): void {
  open++;
  let text = "";
  let waits = true;
  let wasRefused = false;
  const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => send(socket));
  socket.setEncoding("latin1");
  socket.on("data", (part: string) => {
    text += part;
    const end = text.indexOf("\r\n\r\n");
    const length = /content-length: (\d+)/i.exec(text)?.[1];
    if (end < 0 || length === undefined || text.length < end + 4 + Number(length)) return;
    const status = text.slice(9, 12);
    if (status === "200") result.stored++;
    else if (status === "503" && /retry-after: 1\r/i.test(text)) {
      result.refused++;
      wasRefused = true;
    } else result.other++;
    text = "";
    waits = false;
    if (over || wasRefused) return;
    if (rate !== null) idle.push(socket);
    else [waits] = [true, send(socket)];
  });
  socket.on("error", () => undefined);
  socket.on("close", () => {
    if (wasRefused) setTimeout(() => open--, RETRY_AFTER_MS);
    else open--;
    if (waits && !over) result.cut++;
    const at = idle.indexOf(socket);
    if (at >= 0) idle.splice(at, 1);
    if (rate === null && !over) add();
  });
}

const startedMs = performance.now();
if (rate === null) for (let i = 0; i < socketsMax; i++) add();
const timer = setInterval(() => {
  const elapsed = (performance.now() - startedMs) / 1000;
  if (elapsed >= seconds) {
    over = true;
    clearInterval(timer);
    result.seconds = elapsed;
    process.send?.(result, () => process.exit());
    return;
  }
  if (rate === null) return;
  for (const due = Math.floor(elapsed * rate); result.due < due; result.due++) {
    const socket = idle.pop();
    if (socket !== undefined) send(socket);
    else if (open < socketsMax) add();
  }
}, EVERY_MS);
