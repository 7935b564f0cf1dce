/**
 * A network within one process, for tests and for programs that embed several nodes: messages cross it as frames, so that nothing is
 * shared and whatever the codec cannot carry is found here. Delivery is prompt, in order and lossless; the simulator has its own.
 */
import { decodeFrame, encodeFrame } from "../core/frame.ts";
import type { Message } from "../core/message.ts";
import type { Transport } from "../core/transport.ts";

/** What the network delivers to: a node. */
export interface Receiver {
  receive(from: string, message: Message, reply: (message: Message | undefined) => void): void;
  unreachable(to: string, why: string): void;
}

export interface MemoryNetwork {
  /** The transport of the node at this address. */
  transport(address: string): Transport;
  attach(address: string, receiver: Receiver): void;
  detach(address: string): void;
  /** Frames delivered and their bytes, both directions. */
  readonly traffic: { frames: number; bytes: number };
}

export function createMemoryNetwork(): MemoryNetwork {
  const receivers = new Map<string, Receiver>();
  const traffic = { frames: 0, bytes: 0 };

  const carry = (message: Message): Message => {
    const frame = encodeFrame(message);
    traffic.frames++;
    traffic.bytes += frame.length;
    const decoded = decodeFrame(frame);
    if (!decoded.ok) throw new Error(`a frame that cannot be read back: ${decoded.problem}`);
    return decoded.message;
  };

  const send = (from: string, to: string, message: Message): void => {
    const carried = carry(message);
    queueMicrotask(() => {
      const receiver = receivers.get(to);
      if (receiver === undefined) return receivers.get(from)?.unreachable(to, "nobody listens there");
      receiver.receive(from, carried, (reply) => {
        if (reply === undefined) return;
        const answer = carry(reply);
        queueMicrotask(() => receivers.get(from)?.receive(to, answer, () => undefined));
      });
    });
  };

  return {
    traffic,
    transport: (address) => ({ send: (to, message) => send(address, to, message) }),
    attach: (address, receiver) => void receivers.set(address, receiver),
    detach: (address) => void receivers.delete(address),
  };
}
