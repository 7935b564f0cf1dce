/**
 * A peer that lies: an HTTP server that a node pings and repairs from, and that sends it frames of its own. It speaks the protocol through
 * the real codec and knows the real hashes, as whoever got hold of a node's program and key would; what it says is up to the test.
 */
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ExecutionContext } from "ava";
import { encodeSiblings } from "../../lib/core/codec.ts";
import { Context } from "../../lib/core/context.ts";
import { contentHash, DEFAULT_DIGEST_KEY } from "../../lib/core/digest.ts";
import type { Dot } from "../../lib/core/dot.ts";
import type { Sibling } from "../../lib/core/entry.ts";
import { decodeFrame, encodeFrame } from "../../lib/core/frame.ts";
import type { Message, RepairAnswer, RepairRequest, Summary, WireEntry } from "../../lib/core/message.ts";
import { wholeContext, type RelativeContext } from "../../lib/core/relative-context.ts";

/** Answers a repair request: with a message, with bytes, or by doing as it likes with the response. */
export type Lie = (request: RepairRequest, outgoing: ServerResponse) => Message | Buffer | undefined;

/** What an answer says: parts of one, with a context that stands alone or is told against what the asker has seen. */
type Said = Partial<Omit<RepairAnswer, "context">> & { readonly context?: Context | RelativeContext };

/** Asks for a page of all that is not in `seen`. */
export function requestOf(seen: Context, more: Partial<RepairRequest> = {}): RepairRequest {
  return { kind: "repair-request", exchange: 1, seen, bytesMax: 1_000_000, count: 0, cells: 0, ...more };
}

export const NO_RECORD = new Uint8Array(0);
const OCTETS = "application/octet-stream";
export const EMPTY: Summary = { root: "\0".repeat(16), dotRoot: "\0".repeat(16), count: 0, context: "\0".repeat(8) };

export class HostilePeer {
  readonly url: string;
  /** What it says that it holds. */
  summary: () => Summary = () => EMPTY;
  /** How it answers a repair request; undefined says nothing. */
  lie: Lie | undefined;
  /** False breaks every connection off: the node takes it for gone. */
  isThere = true;
  /** Repair requests that it has had. */
  requests = 0;
  /** What they all said that the node has seen: one that is not answered comes again as it was, and knows less than a newer one. */
  seen = new Context();

  private constructor(url: string) {
    this.url = url;
  }

  static async start(t: ExecutionContext): Promise<HostilePeer> {
    const server = createServer((incoming, outgoing) => void peer.#answer(incoming, outgoing));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.teardown(() => server.close());
    t.teardown(() => server.closeAllConnections());
    const peer = new HostilePeer(`http://localhost:${(server.address() as AddressInfo).port}`);
    return peer;
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    if (!this.isThere) return void outgoing.destroy();
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const decoded = decodeFrame(Buffer.concat(chunks));
    if (!decoded.ok) return void outgoing.writeHead(400).end();
    const { message } = decoded;
    if (message.kind === "ping") return void outgoing.end(encodeFrame(this.#pong(message.exchange)));
    if (message.kind === "push") return void outgoing.end(encodeFrame({ kind: "push-ack", exchange: message.exchange, accepted: true }));
    if (message.kind !== "repair-request") return void outgoing.writeHead(204).end();
    this.requests++;
    if (message.sketch === undefined && !message.seen.isEmpty) this.seen.join(message.seen);
    const said = this.lie?.(message, outgoing);
    if (said !== undefined) outgoing.end("kind" in said ? encodeFrame(said) : said);
  }

  #pong(exchange: number): Message {
    return { kind: "pong", exchange, name: "hostile", address: this.url, instance: "hostile!", summary: this.summary() };
  }

  /** Sends a frame, or what is none, to a node. */
  send(to: string, message: Message | Uint8Array): Promise<{ readonly status: number; readonly reply: Message | undefined }> {
    const body = message instanceof Uint8Array ? message : encodeFrame(message);
    const headers = { "content-type": OCTETS, "content-length": body.length, from: this.url };
    return new Promise((resolve, reject) => {
      const outgoing = request(`${to}/peer`, { method: "POST", headers, agent: false }, (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
        incoming.on("error", reject);
        incoming.on("end", () => {
          const decoded = decodeFrame(Buffer.concat(chunks));
          resolve({ status: incoming.statusCode ?? 0, reply: decoded.ok ? decoded.message : undefined });
        });
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    });
  }

  push(to: string, entries: readonly WireEntry[], context = new Context()): ReturnType<HostilePeer["send"]> {
    return this.send(to, { kind: "push", exchange: 1, entries, context });
  }

  /** An answer that says: this is the last of it, I have seen all this, and I hold nothing. */
  answer({ exchange }: RepairRequest, { context, ...more }: Said = {}): RepairAnswer {
    return {
      kind: "repair-answer",
      exchange,
      entries: [],
      covered: new Context(),
      more: false,
      namesDeletions: true,
      context: context instanceof Context ? wholeContext(context) : (context ?? wholeContext(this.seen)),
      summary: EMPTY,
      ...more,
    };
  }
}

/** A sibling that is right in all respects but those that are given. */
export function siblingOf(key: string, text: string, dot: Dot, more: Partial<Sibling> = {}): Sibling {
  const value = Buffer.from(JSON.stringify(text));
  const digest = contentHash(DEFAULT_DIGEST_KEY, key, "", value);
  return { dot, stamp: { ms: 1, tick: 0 }, expiresAtMs: 0, writer: "hostile", contentType: "", value, digest, ...more };
}

export function entryOf(key: string, siblings: readonly Sibling[], gone: readonly Dot[] = []): WireEntry {
  return { key, record: siblings.length === 0 ? NO_RECORD : encodeSiblings(siblings), gone };
}

/** All that is in a context, up to the highest counter that there can be. */
export function everything(context: Context): Context {
  const all = new Context();
  for (const incarnation of context.incarnations()) all.addRange(incarnation, 1, 0xffff_ffff);
  return all;
}
