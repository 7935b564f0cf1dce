/**
 * A counting proxy before a node that also reads: since nodes speak HTTP with frames in it, it tells which of the bytes were headers, what
 * each frame said beside its entries, and the entries themselves. What it cannot read is still counted as bytes.
 */
import { decodeFrame, encodeFrame } from "../../lib/core/frame.ts";
import type { Message } from "../../lib/core/message.ts";
import { startCountingProxy, type CountingProxy } from "./counting-proxy.ts";

/** One request or answer. */
export interface Crossing {
  readonly kind: Message["kind"] | "none" | "unknown";
  readonly headerBytes: number;
  /** The frame's, without its entries. */
  readonly protocolBytes: number;
  readonly entryBytes: number;
  readonly entries: number;
}

export interface ReadingProxy {
  readonly url: string;
  readonly port: number;
  /** All bytes, both directions. */
  readonly bytes: number;
  readonly crossings: readonly Crossing[];
  /** Forgets what was counted. */
  reset(): void;
  /** Nothing passes until `heal`: whoever connects is refused. */
  cut(): Promise<void>;
  heal(): Promise<void>;
  close(): Promise<void>;
}

export async function openReadingProxy(targetPort: number): Promise<ReadingProxy> {
  const readers = new Map<string, HttpReader>();
  let crossings: Crossing[] = [];
  const open = (port: number): Promise<CountingProxy> => {
    readers.clear();
    return startCountingProxy(`http://127.0.0.1:${targetPort}`, port, (chunk, connection, way) => {
      const name = `${connection} ${way}`;
      let reader = readers.get(name);
      if (reader === undefined) readers.set(name, (reader = new HttpReader((crossing) => crossings.push(crossing))));
      reader.take(chunk);
    });
  };
  let proxy = await open(0);
  let isCut = false;
  return {
    url: proxy.url,
    port: proxy.port,
    async cut() {
      isCut = true;
      await proxy.close();
    },
    async heal() {
      proxy = await open(proxy.port);
      isCut = false;
    },
    get bytes() {
      const { up, down } = proxy.bytes();
      return up + down;
    },
    get crossings() {
      return crossings;
    },
    reset() {
      proxy.reset();
      crossings = [];
    },
    close: async () => (isCut ? undefined : proxy.close()),
  };
}

/** Reads one direction of a connection: head, body of the length that the head says, the next head. */
class HttpReader {
  readonly #onCrossing: (crossing: Crossing) => void;
  #waiting = Buffer.alloc(0);

  constructor(onCrossing: (crossing: Crossing) => void) {
    this.#onCrossing = onCrossing;
  }

  take(chunk: Buffer): void {
    this.#waiting = Buffer.concat([this.#waiting, chunk]);
    for (;;) {
      const headEnd = this.#waiting.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      const head = this.#waiting.toString("latin1", 0, headEnd);
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      const end = headEnd + 4 + length;
      if (this.#waiting.length < end) return;
      this.#onCrossing(crossingOf(headEnd + 4, this.#waiting.subarray(headEnd + 4, end)));
      this.#waiting = this.#waiting.subarray(end);
    }
  }
}

function crossingOf(headerBytes: number, body: Buffer): Crossing {
  const decoded = decodeFrame(body);
  if (!decoded.ok) {
    const kind = body.length === 0 ? "none" : "unknown";
    return { kind, headerBytes, protocolBytes: body.length, entryBytes: 0, entries: 0 };
  }
  const { message } = decoded;
  const entries = "entries" in message ? message.entries.length : 0;
  const protocolBytes = "entries" in message ? encodeFrame({ ...message, entries: [] }).length : body.length;
  return { kind: message.kind, headerBytes, protocolBytes, entryBytes: body.length - protocolBytes, entries };
}

export interface Sums {
  readonly exchanges: number;
  readonly headerBytes: number;
  readonly protocolBytes: number;
  readonly entryBytes: number;
  readonly entries: number;
}

/** The sums over crossings of some kinds; an exchange is a request with its answer. */
export function sumOf(crossings: readonly Crossing[], kinds: readonly Crossing["kind"][]): Sums {
  const chosen = crossings.filter(({ kind }) => kinds.includes(kind));
  const sum = (of: (crossing: Crossing) => number): number => chosen.reduce((total, crossing) => total + of(crossing), 0);
  return {
    exchanges: Math.ceil(chosen.length / 2),
    headerBytes: sum(({ headerBytes }) => headerBytes),
    protocolBytes: sum(({ protocolBytes }) => protocolBytes),
    entryBytes: sum(({ entryBytes }) => entryBytes),
    entries: sum(({ entries }) => entries),
  };
}

export const REPAIR = ["repair-request", "repair-answer"] as const;
export const PINGS = ["ping", "pong"] as const;
