/**
 * A node drives one replica: inbox → step → persist → and only then send, acknowledge and publish.
 *
 * All inputs of a turn become ONE storage batch (group commit): while a batch is on its way to the disk the next turn already takes
 * inputs and steps them, so writers share an fsync and the processor does not wait for the disk. Nothing that a step decided leaves
 * before the batch that holds it is durable: doing so lost acknowledged writes in 77 of 500 simulated schedules; this way, none.
 *
 * A storage that failed is the end of this node's life: what the disk holds is unknown until it is opened again, so every waiting
 * write is refused and nothing more is taken.
 */
import type { Dot } from "./core/dot.ts";
import { rebuildNeeded } from "./core/damaged.ts";
import { ConcordError } from "./core/errors.ts";
import type { EntryKey } from "./core/layout.ts";
import type { Message } from "./core/message.ts";
import type { WriteResult } from "./core/output.ts";
import type { StorageChange } from "./core/ports.ts";
import type { NodeDeps, NodeListeners } from "./node/deps.ts";
import { hasRoom, isLong, isLongBatch, newTurn, Pace, type Queued, type Turn } from "./node/turn.ts";
import { Waiting } from "./node/waiting.ts";
import type { Input, Operation, Replica } from "./replica.ts";

export type { NodeDeps, NodeListeners } from "./node/deps.ts";

/** Inputs that wait; more are refused as `overloaded`. At 1 KB each some 16 MB. */
export const INBOX_MAX = 16_384;

export class Node {
  readonly replica: Replica;
  readonly #deps: NodeDeps;
  readonly #listeners: NodeListeners;
  readonly #waiting = new Waiting();
  #inbox: Queued[] = [];
  /** The turn that takes inputs now. */
  #open = newTurn();
  /** The turn whose batch is on its way. */
  #writing: Turn | undefined;
  /** What a turn decided whose batch is durable: carried out as soon as the disk has something to do again. */
  #durable: Turn["outputs"] = [];
  readonly #pace: Pace;
  /** `#work` will run, or runs. */
  #scheduled = false;
  #isWorking = false;
  /** The last step took milliseconds: the sockets come first, before the next. */
  #yields = false;
  /** And before its batch is handed over, which takes milliseconds as well. */
  #owesBatch = false;
  #stopped: Error | undefined;
  #failed = false;
  #idle: (() => void)[] = [];

  constructor(deps: NodeDeps, listeners: NodeListeners = {}) {
    this.replica = deps.replica;
    this.#deps = deps;
    this.#listeners = listeners;
    this.#pace = new Pace(deps.clock);
  }

  /** Why the node takes nothing more; undefined while it does. */
  get stopped(): Error | undefined {
    return this.#stopped;
  }

  /** Inputs and clients' writes that wait, and whether as many inputs wait as may. */
  get backlog(): { readonly inbox: number; readonly writes: number; readonly isFull: boolean } {
    return { inbox: this.#inbox.length, writes: this.#waiting.size, isFull: this.#inbox.length >= INBOX_MAX };
  }

  /** Resolves when the operations are durable here and on as many nodes as asked for, or when they are refused. */
  write(operations: readonly Operation[], copies: number, local = false): Promise<WriteResult> {
    return this.#ask((ticket) => ({ type: "write", ticket, operations, copies, local }));
  }

  look(key: EntryKey): Promise<WriteResult> {
    return this.#ask((ticket) => ({ type: "look", ticket, key }));
  }

  /** Resolves when what `copies` nodes hold of the key, and all that `seen` names, is durable here; or with why it is not. */
  read(key: EntryKey, copies: number, seen: readonly Dot[]): Promise<WriteResult> {
    return this.#ask((ticket) => ({ type: "read", ticket, key, copies, seen }));
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

  /** An operator wants a repair from this peer now, or to know what it would do; either is told as an event. */
  operate(input: Extract<Input, { readonly type: "repair" | "compare" }>): void {
    if (this.#stopped === undefined) this.#post({ input, reply: undefined });
  }

  /** To be called about once a second. */
  tick(type: "tick" | "wake" | "scrub-slice" = "tick"): void {
    if (this.#stopped === undefined) this.#post({ input: { type }, reply: undefined });
  }

  /** All that is stored is looked over, in slices. Returns the number by which the status speaks of it. */
  scrub(reason: Extract<Input, { readonly type: "scrub" }>["reason"]): number {
    if (this.#stopped === undefined) this.#post({ input: { type: "scrub", reason }, reply: undefined });
    return this.replica.scrubber.nextNumber;
  }

  /** Takes nothing more and resolves when what was taken is done. Does not close the storage. */
  async stop(): Promise<void> {
    this.#stopped ??= new ConcordError("stopping", "the node is stopping");
    if (this.#isBusy) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#waiting.refuseAll(new ConcordError("stopping", "the node stopped before enough copies were made; the write is stored"), 1);
  }

  #ask(inputFor: (ticket: number) => Input): Promise<WriteResult> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.resolve({ ok: false, error: refusal, copies: 0 });
    return this.#waiting.add((ticket) => this.#post({ input: inputFor(ticket), reply: undefined }));
  }

  #refusal(): ConcordError | undefined {
    if (this.#stopped instanceof ConcordError) return this.#stopped;
    if (this.#stopped !== undefined) return new ConcordError("storage-failed", this.#stopped.message);
    if (this.#inbox.length < INBOX_MAX) return undefined;
    return new ConcordError("overloaded", `${INBOX_MAX} requests wait already; try again`);
  }

  get #isBusy(): boolean {
    return this.#inbox.length > 0 || this.#open.inputs.length > 0 || this.#writing !== undefined;
  }

  #post(queued: Queued): void {
    this.#inbox.push(queued);
    if (!this.#scheduled) this.#schedule();
    else if (this.#isRipe) this.#work();
  }

  /** Worth a batch at once, whatever else is about to come. */
  get #isRipe(): boolean {
    return this.#writing === undefined && !this.#isWorking && !this.#yields && this.#deps.defer !== undefined && this.#pace.isRipe;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    const { defer } = this.#deps;
    if (defer === undefined) return this.#work();
    if (this.#open.inputs.length === 0) this.#pace.beginGathering();
    defer(() => this.#work());
  }

  /** Steps what waits, also while a batch is on its way; hands the turn over as soon as none is. */
  #work(): void {
    this.#isWorking = true;
    this.#yields = false;
    while (!this.#yields && !this.#failed && this.#inbox.length + this.#open.inputs.length > 0) {
      if (!this.#owesBatch) this.#takeInputs();
      if (this.#writing !== undefined || this.#failed) break;
      if (this.#yields) this.#owesBatch = true;
      else this.#handOver();
    }
    this.#isWorking = false;
    this.#scheduled = false;
    if ((this.#yields && this.#inbox.length > 0) || this.#owesBatch) this.#schedule();
    if (!this.#isBusy) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #takeInputs(): void {
    const now = this.#deps.clock.now();
    const turn = this.#open;
    let taken = 0;
    const later: Queued[] = [];
    try {
      while (!this.#yields && taken < this.#inbox.length && hasRoom(turn, this.replica.store.pendingRows)) {
        const queued = this.#inbox[taken++]!;
        turn.inputs.push(queued);
        if (queued.input.type === "write") turn.operations += queued.input.operations.length;
        const decided = this.replica.step(queued.input, now);
        for (const output of decided) {
          if (output.type === "continue") later.push({ input: { type: "continue" }, reply: undefined });
          else if (output.type === "again") later.push(queued);
          else turn.outputs.push([output, queued.reply]);
        }
        if (!decided.some(({ type }) => type === "reply" || type === "again")) queued.reply?.(undefined);
        this.#yields = this.#deps.defer !== undefined && isLong(queued.input);
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#inbox = taken === this.#inbox.length ? [] : this.#inbox.slice(taken);
    for (const queued of later) this.#goOn(queued);
  }

  /** The next slice of a long work: no effect that has to wait for the batch, and behind whatever the sockets have brought meanwhile. */
  #goOn(queued: Queued): void {
    const { defer } = this.#deps;
    if (defer === undefined) return void this.#inbox.push(queued);
    defer(() => (this.#stopped === undefined ? this.#post(queued) : queued.reply?.(undefined)));
  }

  /** Ends the turn: its changes become a batch, and what it decided is carried out when the batch is durable. */
  #handOver(): void {
    const turn = this.#open;
    this.#yields = this.#owesBatch || (this.#deps.defer !== undefined && isLongBatch(this.replica.store.pendingRows));
    this.#owesBatch = false;
    this.#open = newTurn();
    this.#writing = turn;
    let batch: readonly StorageChange[];
    try {
      for (const output of this.replica.endTurn(this.#deps.clock.now()))
        if (output.type !== "continue" && output.type !== "again") turn.outputs.push([output, undefined]);
      batch = this.replica.store.takeChanges();
    } catch (error) {
      return this.#fail(error);
    }
    if (batch.length > 0) this.#write(batch, turn);
    this.#release();
    if (batch.length === 0) this.#finish(turn);
  }

  #write(batch: readonly StorageChange[], turn: Turn): void {
    this.#pace.handedOver();
    this.#deps.storage.write(batch).then(
      () => {
        this.replica.store.settle();
        this.#pace.becameDurable();
        this.#finish(turn);
        this.#schedule();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  /** The turn is durable. When the next one is ripe the disk gets it first: what this one decided takes the processor a while. */
  #finish(turn: Turn): void {
    this.#writing = undefined;
    this.#durable = turn.outputs;
    if (this.#isBusy && this.#isRipe) this.#work();
    this.#release();
  }

  #release(): void {
    const outputs = this.#durable;
    this.#durable = [];
    this.#carryOut(outputs);
  }

  #carryOut(outputs: Turn["outputs"]): void {
    for (const [output, reply] of outputs) {
      switch (output.type) {
        case "send":
          this.#deps.transport.send(output.to, output.message);
          break;
        case "reply":
          reply?.(output.message);
          break;
        case "settle":
          this.#waiting.settle(output.ticket, output.result);
          break;
        case "changed":
          this.#listeners.onChange?.(output.key, output.before, output.after);
          break;
        case "event":
          this.#listeners.onEvent?.(output.event);
          if (output.event.kind === "audit-failed") this.#fail(rebuildNeeded(output.event.problem));
          break;
        case "wake":
          this.#deps.later?.(output.afterMs, () => this.tick("wake"));
          break;
      }
    }
  }

  #fail(error: unknown): void {
    const cause = error instanceof Error ? error : new Error(String(error));
    if (this.#failed) return;
    this.#failed = true;
    this.#release();
    this.#stopped = cause;
    const unanswered = [...(this.#writing?.inputs ?? []), ...this.#open.inputs, ...this.#inbox];
    this.#writing = undefined;
    this.#open = newTurn();
    this.#inbox = [];
    for (const { reply } of unanswered) reply?.(undefined);
    this.#waiting.refuseAll(cause instanceof ConcordError ? cause : new ConcordError("storage-failed", cause.message, { cause }), 0);
    for (const resolve of this.#idle.splice(0)) resolve();
    this.#listeners.onFailure?.(cause);
  }
}
