/** The port to the peers, apart from the others because it speaks of messages, and messages are built upon them. */
import type { Message } from "./message.ts";

/**
 * Carries messages to peers. `send` never throws and never blocks; what cannot be sent is lost, and the sender's own timeout notices.
 * The reply travels back to whoever created the transport, with the address that the request was sent to.
 */
export interface Transport {
  send(to: string, message: Message): void;
}
