/**
 * What peers say in repairs: requests are answered, answers go to whoever asked, and either may show that this node should ask next.
 */
import { ConcordError } from "../core/errors.ts";
import type { RepairAnswer, RepairRequest } from "../core/message.ts";
import type { Output } from "../core/output.ts";
import type { Now } from "../core/ports.ts";
import type { Store } from "../core/store.ts";
import type { Membership } from "../peers/membership.ts";
import type { Comparer } from "../repair/comparer.ts";
import { refusedOf, type Puller, type PullerStep } from "../repair/puller.ts";
import type { Sketches } from "../repair/sketches.ts";
import type { AnswerOptions } from "../repair/answer.ts";
import { Answers, isBetterAnsweredLater } from "./answer-of.ts";
import type { MergeReports } from "./merge-reports.ts";
import type { Objections } from "./objections.ts";

export type { AnswerOptions } from "../repair/answer.ts";

export interface RepairTalkDeps {
  readonly store: Store;
  readonly membership: Membership;
  readonly sketches: Sketches;
  readonly puller: Puller;
  readonly comparer: Comparer;
  readonly objections: Objections;
  readonly reports: MergeReports;
  readonly options: AnswerOptions;
}

/** How long a peer is kept waiting because this node is about to repair from it: as long as its session goes on asking. */
const SILENT_MAX_MS = 15_000;

export class RepairTalk {
  readonly #deps: RepairTalkDeps;
  /** Members that are told nothing until this node has repaired from them, and since when. */
  readonly #silentSinceMs = new Map<string, number>();
  readonly #answers: Answers;

  constructor(deps: RepairTalkDeps) {
    this.#deps = deps;
    this.#answers = new Answers(deps.store, deps.sketches, deps.options);
  }

  /** Dots have left the context: nothing that took them for seen goes on. */
  abandon(now: Now): Output[] {
    this.#answers.abandon();
    return this.#deps.puller.abandon(now);
  }

  onRequest(from: string, request: RepairRequest, now: Now): Output[] {
    const { store, membership, puller } = this.#deps;
    if (!this.#answers.hasBegun(request)) {
      const objected = this.#deps.objections.to(from, request.seen);
      if (objected !== undefined) return objected;
      if (this.#isToWait(from, request, now)) return [];
    }
    const answer = this.#answers.step(request);
    if (answer === undefined) return [{ type: "again" }];
    if (answer instanceof ConcordError) return [refusedOf(from, answer)];
    const outputs: Output[] = [{ type: "reply", message: answer }];
    if (answer.entries.length > 0) {
      const bytes = answer.entries.reduce((sum, entry) => sum + entry.key.length + entry.record.length, 0);
      outputs.push({ type: "event", event: { kind: "repair-answered", peer: from, entries: answer.entries.length, bytes } });
    }
    if (membership.find(from) !== undefined) puller.onAnswered(from, answer.more, now);
    // Whoever asks tells what it has seen: when that is more than we have, we are the next to ask. (A sketch does not tell.)
    // When it is not, the peer most likely holds the same as soon as it has merged the last page.
    if (membership.find(from)?.isUp === true && !store.context.covers(request.seen)) puller.want(from, false, now);
    else if (!answer.more && request.bytesMax > 0) puller.spare(from, now);
    return outputs;
  }

  /** Whoever only compares is always answered, and so is a peer that this node does not reach, or did not get to in time. */
  #isToWait(from: string, request: RepairRequest, { monotonicMs }: Now): boolean {
    const { store, membership, puller } = this.#deps;
    if (request.bytesMax === 0) return false;
    if (!isBetterAnsweredLater(store, request)) {
      this.#silentSinceMs.delete(from);
      return false;
    }
    if (membership.find(from)?.isUp !== true || !puller.willRepairFrom(from)) return false;
    if (puller.activePeer === from) return true;
    const sinceMs = this.#silentSinceMs.get(from) ?? monotonicMs;
    this.#silentSinceMs.set(from, sinceMs);
    return monotonicMs - sinceMs < SILENT_MAX_MS;
  }

  /** A comparison believes nothing and changes nothing, so there is nothing to object to in its answer. */
  onAnswer(from: string, answer: RepairAnswer, now: Now): Output[] {
    const { puller, comparer, objections } = this.#deps;
    const compared = comparer.onAnswer(answer, now);
    if (compared !== undefined) return compared;
    // What is told against our own words adds nothing of ours, so what is new in them is all that can claim too much.
    const objected = objections.to(from, answer.context.gained) ?? objections.to(from, answer.covered);
    if (objected !== undefined) return [...objected, ...puller.onPeerDown(from, now)];
    return this.afterPull(from, puller.onAnswer(answer, now), now);
  }

  /** A session that has ended makes room for the next one. */
  afterPull(from: string, step: PullerStep, now: Now): Output[] {
    const { puller, reports } = this.#deps;
    const outputs = [...reports.of(from, step.merged), ...step.outputs];
    const ended = step.outputs.some((output) => output.type === "event" && output.event.kind === "repair-ended");
    if (ended) outputs.push(...puller.onTick(now));
    return outputs;
  }
}
