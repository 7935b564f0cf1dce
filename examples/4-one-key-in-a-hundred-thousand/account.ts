/**
 * What crosses between two nodes, told apart: whole HTTP messages out of a stream of bytes, and in each the frame that the node sent.
 *
 * The account runs from the moment when the nodes are connected, or last agreed, until they agree: until a ping and its answer carry the
 * same summary. So it holds everything that it took to find the difference and to repair it, the last look included.
 */
import { decodeFrame } from "../../lib/core/frame.ts";
import { sameSummary, type Message, type Summary, type WireEntry } from "../../lib/core/message.ts";

export interface Account {
  readonly messages: number;
  readonly bytes: number;
  /** The bytes again, by what they are for. */
  readonly parts: Readonly<Record<Part, number>>;
}

export type Part = "headers" | "pings" | "questions" | "answers" | "entries";

const PART_OF: Readonly<Record<Message["kind"], Exclude<Part, "headers" | "entries">>> = {
  ping: "pings",
  pong: "pings",
  push: "questions",
  "push-ack": "answers",
  "repair-request": "questions",
  "repair-answer": "answers",
  "read-request": "questions",
  "read-answer": "answers",
};

/** One connection's bytes in one direction: give what arrives. */
export type Feed = (chunk: Buffer) => void;

export interface Accountant {
  /** A new connection: how its requests and its answers are to be fed. */
  readonly connection: () => { readonly requests: Feed; readonly answers: Feed };
}

interface HttpMessage {
  readonly headBytes: number;
  readonly body: Buffer;
}

export function createAccountant(onAgreement: (account: Account) => void): Accountant {
  let account = emptyAccount();
  let differed = false;

  const add = ({ headBytes, body }: HttpMessage): Message | undefined => {
    account.messages++;
    account.bytes += headBytes + body.length;
    account.parts.headers += headBytes;
    const decoded = decodeFrame(body);
    if (!decoded.ok) return undefined;
    const { message } = decoded;
    const entries = "entries" in message ? message.entries.reduce((sum, entry) => sum + entryBytes(entry), 0) : 0;
    account.parts.entries += entries;
    account.parts[PART_OF[message.kind]] += body.length - entries;
    return message;
  };
  const compare = (asked: Summary, answered: Summary): void => {
    if (!sameSummary(asked, answered)) differed = true;
    else {
      if (differed) onAgreement(account);
      account = emptyAccount();
      differed = false;
    }
  };

  return {
    connection() {
      // Answers come in the order of the requests. Both count when the answer is there: what is still open belongs to what comes next.
      const open: HttpMessage[] = [];
      return {
        requests: messagesOf((request) => open.push(request)),
        answers: messagesOf((answer) => {
          const request = open.shift();
          const asked = request === undefined ? undefined : add(request);
          const answered = add(answer);
          if (asked?.kind === "ping" && answered?.kind === "pong") compare(asked.summary, answered.summary);
        }),
      };
    },
  };
}

function emptyAccount() {
  return { messages: 0, bytes: 0, parts: { headers: 0, pings: 0, questions: 0, answers: 0, entries: 0 } };
}

function entryBytes({ key, record, gone }: WireEntry): number {
  return key.length + record.length + 12 * gone.length;
}

/** Cuts a stream into HTTP messages: a head that ends with an empty line, and as much body as the head says. */
function messagesOf(onMessage: (message: HttpMessage) => void): Feed {
  let received: Buffer = Buffer.alloc(0);
  return (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    for (;;) {
      const head = received.indexOf("\r\n\r\n") + 4;
      if (head < 4) return;
      const length = Number(/\r\ncontent-length: (\d+)/i.exec(received.toString("latin1", 0, head))?.[1] ?? 0);
      if (received.length < head + length) return;
      onMessage({ headBytes: head, body: received.subarray(head, head + length) });
      received = received.subarray(head + length);
    }
  };
}
