/**
 * The routes for peers: /peer takes the frames of our own nodes, /replicate the pairs of any node of the base protocol, /ping all.
 *
 * They are open while clients still wait for the first round with the peers, because that round consists of them.
 */
import type { IncomingMessage } from "node:http";
import { decodeFrame, encodeSteps, FRAME_BYTES_MAX, inTurns } from "../core/frame.ts";
import type { Pair } from "../core/json.ts";
import type { Message } from "../core/message.ts";
import { json, Refusal, RETRY } from "./answer.ts";
import { FrameBudget } from "./frame-budget.ts";
import type { Bodies, Handler } from "./request.ts";
import { pairsIn } from "./store.ts";

/** Where messages go: a node. */
export interface PeerInbox {
  /** Why it takes nothing more; undefined while it does. */
  readonly stopped: Error | undefined;
  readonly backlog: {
    /** So much waits that it takes nothing now. */
    readonly isFull: boolean;
  };
  receive(from: string, message: Message, reply: (message: Message | undefined) => void): void;
}

/** Merges pairs that came by POST /replicate. */
export type TakePairs = (pairs: readonly Pair[]) => Promise<void>;

export interface PeerRoutes {
  readonly frame: Handler;
  readonly replicate: Handler;
  readonly ping: Handler;
}

const FRAME_TYPE = "application/octet-stream";

/** What a peer may begin with. The others are replies, which only travel as answers to requests of ours. */
const REQUESTS: ReadonlySet<Message["kind"]> = new Set(["ping", "push", "repair-request", "read-request"]);

export function createPeerRoutes(inbox: PeerInbox, takePairs: TakePairs, bodies: Bodies): PeerRoutes {
  const budget = new FrameBudget();

  /** The frame is decoded, and what it holds is kept, only while there is room for it. Throws Refusal. */
  const replyTo = async ({ headers }: IncomingMessage, frame: Uint8Array): Promise<Message | undefined> => {
    const leave = budget.enter(frame);
    try {
      const decoded = decodeFrame(frame);
      if (!decoded.ok) throw new Refusal(400, decoded.problem);
      const { message } = decoded;
      if (!REQUESTS.has(message.kind)) throw new Refusal(400, `a ${message.kind} that nobody asked for`);
      if (inbox.stopped !== undefined) throw new Refusal(503, inbox.stopped.message);
      if (inbox.backlog.isFull) throw new Refusal(503, "too many messages wait; try again", RETRY);
      const from = message.kind === "ping" ? message.address : (headers.from ?? "");
      return await budget.hold(message, frame.length, () => new Promise((resolve) => inbox.receive(from, message, resolve)));
    } finally {
      leave();
    }
  };

  return {
    async frame({ env: { incoming, outgoing } }) {
      // No page in a browser may send this type to another site without asking first.
      if (incoming.headers["content-type"] !== FRAME_TYPE) throw new Refusal(415, `frames are sent as ${FRAME_TYPE}`);
      const reply = await replyTo(incoming, await bodies.frame(incoming, FRAME_BYTES_MAX));
      // Nodes ping each other day and night: what no frame needs is not sent with each.
      outgoing.sendDate = false;
      outgoing.removeHeader("connection");
      if (reply === undefined) return new Response(null, { status: 204 });
      return new Response((await inTurns(encodeSteps(reply), setImmediate)) as Uint8Array<ArrayBuffer>, { headers: {} });
    },

    async replicate({ env: { incoming } }) {
      const { pairs } = pairsIn(await bodies.text(incoming), bodies.valueBytesMax);
      await takePairs(pairs);
      return json('{"message":"Key-value pair replicated successfully"}');
    },

    ping: () => json('{"message":"pong"}'),
  };
}
