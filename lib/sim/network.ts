/**
 * The network between the machines: every message is a frame of bytes, and every frame, requests and replies alike, may be lost,
 * doubled, delayed, overtaken or cut off by what the plan has in force at that moment.
 *
 * It is also the place to check what leaves a node: nothing may that is not durable there, and nothing over the limit of a frame.
 */
import { decodeSiblings } from "../core/codec.ts";
import { dotsOf } from "../core/entry.ts";
import { decodeFrame, encodeFrame, FRAME_BYTES_MAX } from "../core/frame.ts";
import type { Message } from "../core/message.ts";
import type { Disk } from "./disk.ts";
import type { PlannedFault } from "./plan.ts";
import type { Prng } from "./prng.ts";
import type { World } from "./world.ts";

/** What stands at the end of a link: a machine. */
export interface Receiver {
  readonly disk: Disk;
  /** False when nobody listens there; then the sender may be told. */
  deliver(from: string, message: Message, reply: (message: Message) => void): boolean;
  unreachable(to: string, why: string): void;
}

type LinkFault = Extract<PlannedFault, { readonly untilMs: number }>;
type FrameFault = Extract<PlannedFault, { readonly share: number }>;

interface Link {
  readonly from: string;
  readonly to: string;
  readonly prng: Prng;
  /** When the last frame arrives: frames keep their order unless they are reordered. */
  arrivalMs: number;
  /** When the latest of the reordered frames arrives. */
  strayMs: number;
}

export class Network {
  readonly #world: World;
  readonly #receivers = new Map<string, Receiver>();
  readonly #links = new Map<string, Link>();
  readonly #faults = new Set<LinkFault>();
  /** The last sketch of each sender and size. */
  readonly #sketches = new Map<string, Uint8Array>();

  constructor(world: World) {
    this.#world = world;
  }

  attach(name: string, receiver: Receiver): void {
    this.#receivers.set(name, receiver);
  }

  begin(fault: LinkFault): void {
    this.#faults.add(fault);
  }

  end(fault: LinkFault): void {
    this.#faults.delete(fault);
  }

  heal(): void {
    this.#faults.clear();
  }

  send(from: string, to: string, message: Message): void {
    this.#transmit(from, to, message, true);
  }

  #transmit(from: string, to: string, message: Message, isRequest: boolean): void {
    const { events, coverage } = this.#world;
    this.#checkLeaving(from, message);
    const frame = encodeFrame(this.#withStaleSketch(this.#linkOf(from, to), message));
    if (frame.length > FRAME_BYTES_MAX) this.#world.fail("frame-too-large", `${from} sends ${frame.length} bytes to ${to}`);
    const cut = this.#cutOf(from, to);
    if (cut !== undefined) return coverage.count(cut.shape);
    const link = this.#linkOf(from, to);
    if (this.#hits("loss", link)) return coverage.count("loss");
    const copies = this.#hits("duplicate", link) ? 2 : 1;
    if (copies === 2) coverage.count("duplicate");
    for (let copy = 0; copy < copies; copy++) {
      events.at(this.#arrivalOf(link), () => this.#arrive(link, frame, isRequest));
    }
  }

  /** As if the tables of the sender were wrong: a sketch that decodes, of another instant than the rest of its message. */
  #withStaleSketch(link: Link, message: Message): Message {
    if ((message.kind !== "repair-request" && message.kind !== "repair-answer") || message.sketch === undefined) return message;
    const name = `${link.from} ${message.sketch.length}`;
    const before = this.#sketches.get(name);
    this.#sketches.set(name, message.sketch);
    if (before === undefined || !this.#hits("stale-sketch", link)) return message;
    this.#world.coverage.count("stale-sketch");
    return { ...message, sketch: before };
  }

  #arrivalOf(link: Link): number {
    const { events, coverage, plan } = this.#world;
    let atMs = events.nowMs + link.prng.skewed(1, plan.settings.linkMs);
    if (this.#hits("delay", link)) {
      coverage.count("delay");
      atMs += link.prng.between(500, 8_000);
    }
    if (this.#hits("reorder", link)) {
      atMs += link.prng.skewed(1, 20_000);
      link.strayMs = Math.max(link.strayMs, atMs);
      return atMs;
    }
    link.arrivalMs = Math.max(link.arrivalMs, atMs);
    if (link.arrivalMs < link.strayMs) coverage.count("reorder");
    return link.arrivalMs;
  }

  #arrive({ from, to }: Link, frame: Uint8Array, isRequest: boolean): void {
    const decoded = decodeFrame(frame);
    if (!decoded.ok) return this.#world.fail("frame-unreadable", `${from} → ${to}: ${decoded.problem}`);
    const { message } = decoded;
    this.#world.say(() => `${from} → ${to} ${describe(message)}`);
    const heard = this.#receivers.get(to)?.deliver(from, message, (reply) => this.#transmit(to, from, reply, false));
    if (heard === true || !isRequest || this.#cutOf(to, from) !== undefined) return;
    // A machine that is off says nothing; one whose program is not running refuses the connection.
    if (!this.#linkOf(to, from).prng.chance(0.5)) return;
    this.#world.coverage.count("unreachable");
    this.#receivers.get(from)?.unreachable(to, "nobody listens there");
  }

  #checkLeaving(from: string, message: Message): void {
    if (message.kind !== "push" && message.kind !== "repair-answer" && message.kind !== "read-answer") return;
    const disk = this.#receivers.get(from)!.disk;
    const isBare = message.kind === "read-answer";
    const context = isBare ? undefined : message.kind === "push" ? message.context : message.context.gained;
    if (context !== undefined && !disk.knewAllUntilNow(context))
      this.#world.fail("sent-before-durable", `${from} sends a context that it does not hold durably`);
    for (const { key, record, gone } of isBare ? [message.entry] : message.entries) {
      const siblings = record.length === 0 ? [] : decodeSiblings(record);
      // What it says is gone it has to know even now: to say that of a dot which the disk has lost is to delete it at the peer.
      const dot = gone.find((other) => !disk.knows(other)) ?? dotsOf(siblings).find((other) => !disk.knewUntilNow(other));
      if (dot !== undefined) {
        this.#world.fail("sent-before-durable", `${from} sends ${this.#world.ledger.label(dot)} of ${key} before it is durable there`);
      }
    }
  }

  #cutOf(from: string, to: string): Extract<LinkFault, { readonly kind: "cut" }> | undefined {
    for (const fault of this.#faults) {
      if (fault.kind === "cut" && fault.links.some((link) => link[0] === from && link[1] === to)) return fault;
    }
    return undefined;
  }

  #hits(kind: FrameFault["kind"], link: Link): boolean {
    for (const fault of this.#faults) if (fault.kind === kind && link.prng.chance(fault.share)) return true;
    return false;
  }

  #linkOf(from: string, to: string): Link {
    const name = `${from}→${to}`;
    let link = this.#links.get(name);
    if (link === undefined) {
      link = { from, to, prng: this.#world.prng.fork(name), arrivalMs: 0, strayMs: 0 };
      this.#links.set(name, link);
    }
    return link;
  }
}

function describe(message: Message): string {
  switch (message.kind) {
    case "push":
      return `push of ${message.entries.map(({ key }) => key).join(" ")} (${message.exchange})`;
    case "push-ack":
      return `push-ack ${message.accepted ? "accepted" : "refused"} (${message.exchange})`;
    case "repair-request":
      return `repair-request${message.seen.isEmpty ? " for all" : ""} (${message.exchange})`;
    case "repair-answer": {
      const keys = message.entries.length > 6 ? `${message.entries.length} keys` : message.entries.map(({ key }) => key).join(" ");
      return `repair-answer with ${keys || "nothing"}${message.more ? " and more to come" : ""} (${message.exchange})`;
    }
    default:
      return `${message.kind} (${message.exchange})`;
  }
}
