/**
 * A node drives one replica: inbox → step → persist → and only then send, acknowledge and publish.
 *
 * The whole inbox becomes ONE storage batch (group commit): while a batch is on its way to the disk the next inputs gather, so fifty
 * writers share an fsync. Nothing that a step decided leaves before the batch that holds it is durable. To acknowledge or to send
 * before that lost acknowledged writes in 77 of 500 simulated schedules; after it, in none.
 *
 * A storage that failed is the end of this node's life: what the disk holds is unknown until it is opened again, so every waiting
 * write is refused and nothing more is taken.
 */
import { ConcordError } from "./core/errors.ts";
import type { Siblings } from "./core/entry.ts";
import type { EntryKey } from "./core/layout.ts";
import type { Message } from "./core/message.ts";
import type { Output, ReplicaEvent, WriteResult } from "./core/output.ts";
import type { Clock, Storage } from "./core/ports.ts";
import type { Transport } from "./core/transport.ts";
import type { Input, Operation, Replica } from "./replica.ts";

export interface NodeDeps {
  readonly replica: Replica;
  readonly storage: Storage;
  readonly transport: Transport;
  readonly clock: Clock;
  /**
   * Runs a turn a little later, so that inputs which come together share its batch: without it the first of fifty requests that one
   * look at the sockets brings would be written alone while the others wait. At once by default; `setImmediate` in production.
   */
  readonly defer?: (turn: () => void) => void;
}

export interface NodeListeners {
  onEvent?(event: ReplicaEvent): void;
  onChange?(key: EntryKey, before: Siblings, after: Siblings): void;
  /** The storage failed or an invariant broke: the node has stopped taking writes. Called once. */
  onFailure?(error: Error): void;
}

/** Inputs that wait; more are refused as `overloaded`. At 1 KB each some 16 MB. */
export const INBOX_MAX = 16_384;

/** Inputs of one turn: bounds the turn and the batch. */
export const TURN_INPUTS_MAX = 1_024;

/** Operations of one turn: a bulk request of thousands is a turn of its own. */
const TURN_OPERATIONS_MAX = 8_192;

interface Queued {
  readonly input: Input;
  readonly reply: ((message: Message | undefined) => void) | undefined;
}

export class Node {
  readonly replica: Replica;
  readonly #deps: NodeDeps;
  readonly #listeners: NodeListeners;
  readonly #waiting = new Map<number, (result: WriteResult) => void>();
  #inbox: Queued[] = [];
  /** The inputs of the turn whose batch is on its way. */
  #underWay: readonly Queued[] = [];
  #ticket = 0;
  #turning = false;
  #stopped: Error | undefined;
  #failed = false;
  #idle: (() => void)[] = [];

  constructor(deps: NodeDeps, listeners: NodeListeners = {}) {
    this.replica = deps.replica;
    this.#deps = deps;
    this.#listeners = listeners;
  }

  /** Why the node takes nothing more; undefined while it does. */
  get stopped(): Error | undefined {
    return this.#stopped;
  }

  /** Inputs and clients' writes that wait. */
  get backlog(): { readonly inbox: number; readonly writes: number } {
    return { inbox: this.#inbox.length, writes: this.#waiting.size };
  }

  /** Resolves when the operations are durable here and on as many nodes as asked for, or when they are refused. */
  write(operations: readonly Operation[], copies: number, local = false): Promise<WriteResult> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.resolve({ ok: false, error: refusal, copies: 0 });
    const ticket = ++this.#ticket;
    return new Promise((resolve) => {
      this.#waiting.set(ticket, resolve);
      this.#post({ input: { type: "write", ticket, operations, copies, local }, reply: undefined });
    });
  }

  /** A message from a peer. The first call of `reply` counts; it is given undefined when there is no answer. */
  receive(from: string, message: Message, reply?: (message: Message | undefined) => void): void {
    if (this.#refusal() !== undefined) return reply?.(undefined);
    this.#post({ input: { type: "message", from, message }, reply });
  }

  /** The transport could not reach a peer. */
  unreachable(to: string, why: string): void {
    if (this.#stopped === undefined) this.#post({ input: { type: "unreachable", to, why }, reply: undefined });
  }

  /** A peer that speaks only the base protocol answered a ping. */
  answeredBase(from: string): void {
    if (this.#stopped === undefined) this.#post({ input: { type: "base-pong", from }, reply: undefined });
  }

  /** To be called about once a second. */
  tick(): void {
    if (this.#stopped === undefined) this.#post({ input: { type: "tick" }, reply: undefined });
  }

  /** Takes nothing more and resolves when what was taken is done. Does not close the storage. */
  async stop(): Promise<void> {
    this.#stopped ??= new ConcordError("stopping", "the node is stopping");
    if (this.#turning) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#refuseWaiting(new ConcordError("stopping", "the node stopped before enough copies were made; the write is stored"), 1);
  }

  #refusal(): ConcordError | undefined {
    if (this.#stopped instanceof ConcordError) return this.#stopped;
    if (this.#stopped !== undefined) return new ConcordError("storage-failed", this.#stopped.message);
    if (this.#inbox.length < INBOX_MAX) return undefined;
    return new ConcordError("overloaded", `${INBOX_MAX} requests wait already; try again`);
  }

  #post(queued: Queued): void {
    this.#inbox.push(queued);
    if (this.#turning) return;
    this.#turning = true;
    this.#defer();
  }

  #defer(): void {
    const { defer } = this.#deps;
    if (defer === undefined) this.#turns();
    else defer(() => this.#turns());
  }

  /** Turns until the inbox is empty. A turn that changed nothing ends at once; else the next begins when its batch is durable. */
  #turns(): void {
    while (this.#inbox.length > 0 && !this.#failed) {
      const turn = this.#runTurn();
      if (turn === undefined) break;
      if (turn.batch.length > 0) {
        this.#deps.storage.write(turn.batch).then(
          () => {
            this.replica.store.settle();
            this.#carryOut(turn.outputs);
            this.#defer();
          },
          (error: unknown) => this.#fail(error),
        );
        return;
      }
      this.#carryOut(turn.outputs);
    }
    this.#turning = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #runTurn(): { readonly batch: Parameters<Storage["write"]>[0]; readonly outputs: readonly [Output, Queued["reply"]][] } | undefined {
    const now = this.#deps.clock.now();
    const outputs: [Output, Queued["reply"]][] = [];
    try {
      this.#underWay = this.#takeInputs();
      for (const { input, reply } of this.#underWay) {
        const decided = this.replica.step(input, now);
        for (const output of decided) outputs.push([output, reply]);
        if (reply !== undefined && !decided.some((output) => output.type === "reply")) reply(undefined);
      }
      for (const output of this.replica.endTurn(now)) outputs.push([output, undefined]);
      return { batch: this.replica.store.takeChanges(), outputs };
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  #takeInputs(): Queued[] {
    let operations = 0;
    let count = 0;
    while (count < this.#inbox.length && count < TURN_INPUTS_MAX && operations < TURN_OPERATIONS_MAX) {
      const { input } = this.#inbox[count++]!;
      if (input.type === "write") operations += input.operations.length;
    }
    if (count === this.#inbox.length) {
      const all = this.#inbox;
      this.#inbox = [];
      return all;
    }
    return this.#inbox.splice(0, count);
  }

  #carryOut(outputs: readonly [Output, Queued["reply"]][]): void {
    for (const [output, reply] of outputs) {
      switch (output.type) {
        case "send":
          this.#deps.transport.send(output.to, output.message);
          break;
        case "reply":
          reply?.(output.message);
          break;
        case "settle":
          this.#settle(output.ticket, output.result);
          break;
        case "changed":
          this.#listeners.onChange?.(output.key, output.before, output.after);
          break;
        case "event":
          this.#listeners.onEvent?.(output.event);
          if (output.event.kind === "audit-failed") this.#fail(damaged(output.event.problem));
          break;
        case "continue":
          this.#inbox.push({ input: { type: "continue" }, reply: undefined });
          break;
      }
    }
  }

  #settle(ticket: number, result: WriteResult): void {
    const resolve = this.#waiting.get(ticket);
    this.#waiting.delete(ticket);
    resolve?.(result);
  }

  #fail(error: unknown): void {
    const cause = error instanceof Error ? error : new Error(String(error));
    if (this.#failed) return;
    this.#failed = true;
    this.#stopped = cause;
    this.#turning = false;
    for (const { reply } of [...this.#underWay, ...this.#inbox.splice(0)]) reply?.(undefined);
    this.#refuseWaiting(cause instanceof ConcordError ? cause : new ConcordError("storage-failed", cause.message, { cause }), 0);
    for (const resolve of this.#idle.splice(0)) resolve();
    this.#listeners.onFailure?.(cause);
  }

  #refuseWaiting(error: ConcordError, copies: number): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const resolve of waiting) resolve({ ok: false, error, copies });
  }
}

function damaged(problem: string): ConcordError {
  return new ConcordError(
    "damaged",
    `the store does not agree with its entries (${problem}); start the node again, and it is rebuilt from them`,
  );
}
