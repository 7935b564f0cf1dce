/**
 * The routes for peers: /peer takes the frames of our own nodes, /replicate the pairs of any node of the base protocol, /ping all.
 *
 * They are open while clients still wait for the first round with the peers, because that round consists of them.
 */
import { decodeFrame, encodeFrame, FRAME_BYTES_MAX } from "../core/frame.ts";
import type { Pair } from "../core/json.ts";
import type { Message } from "../core/message.ts";
import { json, Refusal } from "./answer.ts";
import type { Bodies, Handler } from "./request.ts";
import { readPairs } from "./store.ts";

/** Where messages go: a node. */
export interface PeerInbox {
  /** Why it takes nothing more; undefined while it does. */
  readonly stopped: Error | undefined;
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

export function createPeerRoutes(inbox: PeerInbox, takePairs: TakePairs, bodies: Bodies): PeerRoutes {
  return {
    async frame({ env: { incoming, outgoing } }) {
      // No page in a browser may send this type to another site without asking first.
      if (incoming.headers["content-type"] !== FRAME_TYPE) throw new Refusal(415, `frames are sent as ${FRAME_TYPE}`);
      const decoded = decodeFrame(await bodies.bytes(incoming, FRAME_BYTES_MAX));
      if (!decoded.ok) throw new Refusal(400, decoded.problem);
      if (inbox.stopped !== undefined) throw new Refusal(503, inbox.stopped.message);
      const { message } = decoded;
      const from = message.kind === "ping" ? message.address : (incoming.headers.from ?? "");
      const reply = await new Promise<Message | undefined>((resolve) => inbox.receive(from, message, resolve));
      // Nodes ping each other day and night: what no frame needs is not sent with each.
      outgoing.sendDate = false;
      outgoing.removeHeader("connection");
      if (reply === undefined) return new Response(null, { status: 204 });
      return new Response(encodeFrame(reply) as Uint8Array<ArrayBuffer>, { headers: {} });
    },

    async replicate({ env: { incoming } }) {
      const { pairs } = await readPairs(bodies, incoming);
      await takePairs(pairs);
      return json('{"message":"Key-value pair replicated successfully"}');
    },

    ping: () => json('{"message":"pong"}'),
  };
}
