/**
 * A few stores, what happens to them, and the truth: which writes must be live once they have all talked to each other.
 *
 * The truth is known without any of the code under test. A write is gone when some write or deletion that was acknowledged anywhere
 * had observed it, and else it stays: so nothing acknowledged may be lost, and nothing deleted may come back.
 */
import assert from "node:assert/strict";
import type { Change, LocalWrite } from "../../lib/core/change.ts";
import { formatDot, type Dot } from "../../lib/core/dot.ts";
import { dotsOf } from "../../lib/core/entry.ts";
import { decodeFrame, encodeFrame } from "../../lib/core/frame.ts";
import type { Message, Push, RepairAnswer, RepairRequest } from "../../lib/core/message.ts";
import type { Store } from "../../lib/core/store.ts";
import { Answering, answerRequest } from "../../lib/repair/answer.ts";
import { Pull, type PullOptions, type PullResult } from "../../lib/repair/pull.ts";
import { PushQueue } from "../../lib/repair/push.ts";
import { START_MS } from "./chance.ts";
import { contradictions, json, liveDots, openTestStore, stateOf, type TestStore } from "./stores.ts";

export const PULL_OPTIONS: PullOptions = {
  answerBytesMax: 256 * 1024,
  stepEntriesMax: 256,
  firstStepEntries: 256,
  stepRangesMax: 64,
  entryBytes: 64,
  firstCells: 96,
};

/** Pages that hold an entry or two, so that small stores are sent in many. */
export const SMALL_PAGES: PullOptions = { ...PULL_OPTIONS, answerBytesMax: 100 };

/** Of an entry or two: between the turns in which a page is made anything may happen. */
const SMALL_STEPS = { ...SMALL_PAGES, answerBytesMax: 300, answerStepMax: 2 };

interface Session {
  readonly from: number;
  readonly pull: Pull;
  /** The answer that the other side is making. */
  making?: { readonly by: Store; readonly answering: Answering } | undefined;
}

export class World {
  nowMs = START_MS;
  readonly sides: TestStore[];
  /** The dots of all writes and deletions that were acknowledged. */
  readonly issued: string[] = [];
  readonly #written = new Map<string, Set<string>>();
  readonly #observed = new Set<string>();
  /** What readers were told, to be given back with later writes, to whichever node. */
  readonly #tokens: { readonly key: string; readonly dots: readonly Dot[] }[] = [];
  readonly #queues: PushQueue[][];
  readonly #mail: { readonly to: number; readonly frame: Buffer }[] = [];
  readonly #sessions: (Session | undefined)[];
  #exchange = 0;

  private constructor(sides: TestStore[]) {
    this.sides = sides;
    this.#queues = sides.map(() => sides.map(() => new PushQueue(1000)));
    this.#sessions = sides.map(() => undefined);
  }

  static async create(count: number, recentDeletionsMax = 1000): Promise<World> {
    const names = Array.from({ length: count }, (_, i) => "abcdef".charAt(i));
    return new World(await Promise.all(names.map((name) => openTestStore(name, { recentDeletionsMax }))));
  }

  store(side: number): Store {
    return this.sides[side]!.store;
  }

  put(side: number, key: string, more: Partial<LocalWrite> = {}): Dot {
    const change = this.store(side).put(key, json(`${this.#exchange++}`, more), this.nowMs);
    const written = this.#written.get(key) ?? new Set();
    this.#written.set(key, written.add(formatDot(change.dot)));
    this.#note(side, change, more.observed ?? dotsOf(change.before));
    return change.dot;
  }

  /** With what some reader of this key was told; a write that has seen nothing when there was none. */
  putWithToken(side: number, key: string, choice: number): Dot {
    return this.put(side, key, { observed: this.#token(key, choice) });
  }

  remove(side: number, key: string, observed?: readonly Dot[]): void {
    const change = this.store(side).remove(key, observed, this.nowMs);
    if (change !== undefined) this.#note(side, change, observed ?? dotsOf(change.before));
  }

  removeWithToken(side: number, key: string, choice: number): void {
    this.remove(side, key, this.#token(key, choice));
  }

  read(side: number, key: string): void {
    this.#tokens.push({ key, dots: dotsOf(this.store(side).read(key)) });
  }

  sweep(side: number): void {
    for (const change of this.store(side).sweep(this.nowMs, 2, this.nowMs)) {
      const gone = change.before.filter((sibling) => !change.after.includes(sibling));
      this.#note(side, change, dotsOf(gone));
    }
  }

  /** The next batch of writes leaves for a peer: it may arrive at any time, or never, or twice. */
  push(from: number, to: number): void {
    const queue = this.#queues[from]![to]!;
    const push = queue.next(this.store(from), () => ++this.#exchange, 0);
    if (push === undefined) return;
    queue.finish(push.exchange);
    this.#mail.push({ to, frame: Buffer.from(encodeFrame(push)) });
  }

  deliver(choice: number, keep: boolean): void {
    if (this.#mail.length === 0) return;
    const at = choice % this.#mail.length;
    const { to, frame } = this.#mail[at]!;
    if (!keep) this.#mail.splice(at, 1);
    const push = read<Push>(frame);
    for (const entry of push.entries) this.store(to).merge(entry, push.context, this.nowMs);
  }

  /** So many steps of a repair: a page or a slice of work each. One that was under way with another peer is given up. */
  pull(by: number, from: number, steps: number, kind: "delta" | "full" = "delta", patient = true): PullResult | undefined {
    let session = this.#sessions[by];
    if (session?.from !== from) {
      session?.pull.stop();
      session = { from, pull: new Pull(this.store(by), kind, SMALL_STEPS, patient) };
      this.#sessions[by] = session;
    }
    const { pull } = session;
    for (let step = 0; step < steps; step++) {
      const result = pull.isBusy ? pull.advance([]) : this.#answer(session);
      if (result === undefined) continue;
      this.#sessions[by] = undefined;
      return result;
    }
    return undefined;
  }

  /** One turn of the other side; what it made in an earlier life is lost. */
  #answer(session: Session): PullResult | undefined {
    const { pull, from } = session;
    const by = this.store(from);
    if (session.making?.by !== by) {
      const request = read<RepairRequest>(encodeFrame(pull.request(++this.#exchange)));
      session.making = { by, answering: new Answering(by, request, undefined, SMALL_STEPS) };
    }
    const answer = session.making.answering.step();
    if (answer === undefined) return undefined;
    session.making = undefined;
    return pull.onAnswer(read<RepairAnswer>(encodeFrame(answer)), this.nowMs, []);
  }

  giveUpPull(by: number): void {
    this.#sessions[by]?.pull.stop();
    this.#sessions[by] = undefined;
  }

  async persist(side: number): Promise<void> {
    await this.sides[side]!.persist();
  }

  /** A new process over what was durable: caches, sessions and queues are gone. */
  async restart(side: number): Promise<void> {
    await this.persist(side);
    this.giveUpPull(side);
    for (const [to] of this.sides.entries()) this.#queues[side]![to] = new PushQueue(1000);
    this.sides[side] = await this.sides[side]!.reopen();
    assert.equal(this.sides[side].rebuilt, undefined);
  }

  /** Everybody repairs from everybody until nothing changes any more. */
  converge(rounds = 8): void {
    for (let side = 0; side < this.sides.length; side++) this.giveUpPull(side);
    const behind = new Map<string, number>();
    for (let round = 1; ; round++) {
      const before = JSON.stringify(this.sides.map(({ store }) => stateOf(store)));
      const results: string[] = [];
      for (const [by] of this.sides.entries()) {
        for (const [from] of this.sides.entries()) {
          if (by === from) continue;
          // As the puller does: a peer that is behind is given time, and then no more.
          const patience = behind.get(`${by}${from}`) ?? 2;
          const result = this.pull(by, from, 10_000, "delta", patience > 0);
          behind.set(`${by}${from}`, result === "behind" ? patience - 1 : 2);
          results.push(`${by} from ${from}: ${result}`);
        }
      }
      if (before === JSON.stringify(this.sides.map(({ store }) => stateOf(store))) && results.every((one) => one.endsWith("joined")))
        return;
      assert.ok(round < rounds, `no end after ${round} rounds: ${results.join(", ")}`);
    }
  }

  /** What must hold at any time, of any store. */
  checkStores(): void {
    for (const { store } of this.sides) assert.deepEqual(contradictions(store), []);
  }

  /** What must hold when all have repaired from all. */
  checkConverged(): void {
    this.checkStores();
    const states = this.sides.map(({ store }) => stateOf(store));
    for (const state of states) assert.deepEqual(state, states[0]);
    for (const { store } of this.sides) assert.deepEqual(store.summary(), this.store(0).summary());
    assert.deepEqual(liveDots(this.store(0)), this.truth());
  }

  /** The dots that are live once everything is known everywhere. */
  truth(): string[] {
    return [...this.#written.values()].flatMap((dots) => [...dots].filter((dot) => !this.#observed.has(dot))).sort();
  }

  #note(side: number, change: Change, observed: readonly Dot[]): void {
    this.issued.push(formatDot(change.dot));
    for (const dot of observed) this.#observed.add(formatDot(dot));
    for (const [to, queue] of this.#queues[side]!.entries()) if (to !== side) queue.add(change.key, change.entry.gone, undefined);
  }

  #token(key: string, choice: number): readonly Dot[] {
    const tokens = this.#tokens.filter((token) => token.key === key);
    return tokens.length === 0 ? [] : tokens[choice % tokens.length]!.dots;
  }
}

/** A whole repair in one go: `by` asks `from`, page by page, and does what follows. */
export function pullToEnd(by: Store, from: Store, kind: "delta" | "full" = "delta", options = PULL_OPTIONS, patient = true): PullResult {
  const pull = new Pull(by, kind, options, patient);
  for (;;) {
    const result = pull.isBusy ? pull.advance([]) : pull.onAnswer(exchanged(pull.request(1), from), START_MS, []);
    if (result !== undefined) return result;
  }
}

/** What a store answers, both ways through bytes. */
export function exchanged(request: RepairRequest, from: Store): RepairAnswer {
  return read<RepairAnswer>(encodeFrame(answerRequest(from, read<RepairRequest>(encodeFrame(request)))));
}

/** Through bytes, so that nothing is shared. */
export function read<T extends Message>(frame: Uint8Array): T {
  const decoded = decodeFrame(frame);
  assert.ok(decoded.ok, decoded.ok ? "" : decoded.problem);
  return decoded.message as T;
}
