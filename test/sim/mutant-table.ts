/**
 * The planted bugs: each a mistake that somebody could make in a weak hour, written as a replacement in one source file. The product has
 * no switch for them, so nothing of them can ever run by accident.
 *
 * `find` must occur exactly once; a mutant whose text is gone fails the command, so that the table grows old with the code and not
 * behind its back.
 */
import { DAMAGE_MUTANTS } from "./mutants-of-damage.ts";
import { REPAIR_MUTANTS, type Mutant } from "./mutants-of-repair.ts";

export type { Mutant } from "./mutants-of-repair.ts";

const durability: readonly Mutant[] = [
  {
    name: "acknowledges before the batch is durable",
    file: "lib/node.ts",
    find: "if (batch.length === 0) this.#finish(turn);",
    replace: `if (batch.length === 0) return this.#finish(turn);
    for (const [output] of turn.outputs) if (output.type === "settle") this.#waiting.settle(output.ticket, output.result);`,
  },
  {
    name: "sends before the batch is durable",
    file: "lib/node.ts",
    find: "if (batch.length === 0) this.#finish(turn);",
    replace: `if (batch.length === 0) return this.#finish(turn);
    for (const [output] of turn.outputs) if (output.type === "send") this.#deps.transport.send(output.to, output.message);`,
  },
  {
    name: "what has gathered is acknowledged together with the batch before it",
    file: "lib/node.ts",
    find: "this.#durable = turn.outputs;",
    replace: `this.#durable = turn.outputs;
    for (const [output] of this.#open.outputs) if (output.type === "settle") this.#waiting.settle(output.ticket, output.result);`,
  },
  {
    name: "goes on after a failed batch",
    file: "lib/node.ts",
    find: "(error: unknown) => this.#fail(error),",
    replace: `() => {
        this.replica.store.settle();
        this.#finish(turn);
        this.#schedule();
      },`,
  },
  {
    name: "a joined context is not written to the disk",
    file: "lib/core/store.ts",
    find: "for (const incarnation of news.incarnations()) this.#changedIncarnations.add(incarnation);",
    replace: "",
  },
  {
    name: "lost entries are not noticed, and the context speaks for them",
    file: "lib/core/store-open.ts",
    find: "const finding = new Audit(store).runToEnd();",
    replace: `const finding = new Audit(store).runToEnd();
    if (meta.count >= 0) return { store, problem: undefined, healed: undefined };`,
  },
];

const visibility: readonly Mutant[] = [
  {
    name: "lost entries are noticed, and the context is kept",
    file: "lib/core/store-open.ts",
    find: "for (const prefix of [CONTEXT, INDEX, EXPIRY, SEVERAL]) await clear(storage, prefix);",
    replace: "for (const prefix of [INDEX, EXPIRY, SEVERAL]) await clear(storage, prefix);",
  },
  {
    name: "a turn does not see its own writes",
    file: "lib/core/overlay.ts",
    find: "if (pending !== undefined) return pending;",
    replace: "",
  },
  {
    name: "a turn does not see the batch that is on its way",
    file: "lib/core/overlay.ts",
    find: "return this.#writing.size === 0 ? undefined : this.#writing.get(key);",
    replace: "return undefined;",
  },
  {
    name: "a reader is shown what is not yet durable",
    file: "lib/node/kv.ts",
    find: "const record = pastDamage(node, () => storage.get(entryAt(key)));",
    replace: "const record = pastDamage(node, () => store.reader.get(entryAt(key)));",
  },
];

const causality: readonly Mutant[] = [
  {
    name: "a restored folder keeps its incarnation",
    file: "lib/core/dot-source.ts",
    find: `this.#incarnation = this.#fresh(seen);
      this.#counter = 0;`,
    replace: `this.#incarnation = [...seen.incarnations()].find((known) => known.startsWith("\\x07")) ?? "\\x07" + this.#fresh(seen).slice(1);
      this.#counter = seen.highest(this.#incarnation);`,
  },
  {
    name: "a counter is used twice",
    file: "lib/core/dot-source.ts",
    find: "this.#counter++;",
    replace: "if (this.#counter !== 9) this.#counter++;",
  },
  {
    name: "a token counts for everything that the key holds",
    file: "lib/core/local-write.ts",
    find: "if (policy === undefined) return input.observed;",
    replace: "if (policy === undefined) return dotsOf(before);",
  },
  {
    name: "an incarnation is kept although another life of it goes on",
    file: "lib/core/store.ts",
    find: "this.#dots.renounce();",
    replace: "this.#touch();",
  },
  {
    name: "a write forgets what its token had seen elsewhere",
    file: "lib/core/store.ts",
    find: "for (const seen of observed) this.#see(seen);",
    replace: "",
  },
  {
    name: "a write says that it had seen what it had not",
    file: "lib/core/store.ts",
    find: "entry: { key, record, gone: observed } };",
    replace: "entry: { key, record, gone: [...observed, ...dotsOf(before)] } };",
  },
  {
    name: "a merge keeps only what arrives",
    file: "lib/core/store.ts",
    find: "const merged = remove(merge(before, this.context, theirs, theirContext), entry.gone);",
    replace: "const merged = remove(theirs.length > 0 ? theirs : merge(before, this.context, theirs, theirContext), entry.gone);",
  },
  {
    name: "a merge takes what was seen and removed here",
    file: "lib/core/entry.ts",
    find: "else keepUnlessSeen(theirs[j++]!, myContext, merged);",
    replace: "else merged.push(theirs[j++]!);",
  },
  {
    name: "concurrent values are told apart by their time alone",
    file: "lib/core/entry.ts",
    find: "if (a.writer !== b.writer) return a.writer < b.writer ? -1 : 1;",
    replace: "if (a.writer !== b.writer) return 0;",
  },
  {
    name: "a clock far ahead drags the others along",
    file: "lib/core/time.ts",
    find: "if (isFarAhead(heard, nowMs)) return last;",
    replace: "",
  },
];

const digests: readonly Mutant[] = [
  {
    name: "the digest is not updated by a deletion",
    file: "lib/core/tally.ts",
    find: "this.root.subtract(sibling.digest);",
    replace: "",
  },
  {
    name: "an entry that arrives twice is counted twice",
    file: "lib/core/store.ts",
    find: "if (sameSiblings(before, after)) return {",
    replace: `if (sameSiblings(before, after)) for (const sibling of after) this.tally.root.add(sibling.digest);
    if (sameSiblings(before, after)) return {`,
  },
];

const expiry: readonly Mutant[] = [
  {
    name: "what has expired is removed without a dot",
    file: "lib/core/store.ts",
    find: "return due.flatMap(({ key, dot }) => this.remove(key, [dot], nowMs) ?? []);",
    replace: `for (const { key, dot } of due) {
      const before = this.read(key);
      const after = remove(before, [dot]);
      if (after.length !== before.length) this.#apply(key, before, after, []);
    }
    return nowMs < 0 ? [this.put("", undefined!, 0)] : [];`,
  },
  {
    name: "others' values are swept by this node's clock at once",
    file: "lib/core/expiry.ts",
    find: "const delayMs = sibling.writer === ownName ? 0 : SWEEP_FOREIGN_AFTER_MS;",
    replace: "const delayMs = sibling.writer === ownName ? 0 : 0;",
  },
];

const operations: readonly Mutant[] = [
  {
    name: "what a client demands is not looked at",
    file: "lib/replica/operations.ts",
    find: "if (condition !== undefined && !isMet(",
    replace: 'if (condition?.kind === "present" && !isMet(',
  },
  {
    name: "a tag also names what has expired",
    file: "lib/core/condition.ts",
    find: "const dots = dotsOf(siblings.filter((sibling) => !isExpired(sibling, nowMs)));",
    replace: "const dots = dotsOf(siblings.filter((sibling) => !isExpired(sibling, 0)));",
  },
  {
    name: "a touch settles conflicts",
    file: "lib/replica/operations.ts",
    find: "store.put(key, { contentType, value, expiresAtMs, observed: [dot], isStored: true }, nowMs)",
    replace: "store.put(key, { contentType, value, expiresAtMs, observed: dot.counter > 0 ? undefined : [dot], isStored: true }, nowMs)",
  },
];

const reads: readonly Mutant[] = [
  {
    name: "a read counts a node too many",
    file: "lib/replica/reads.ts",
    find: "if (1 + read.answered >= read.copies",
    replace: "if (2 + read.answered >= read.copies",
  },
  {
    name: "a read is answered before what it brought is merged",
    file: "lib/replica/reads.ts",
    find: 'const outcome = this.#store.merge(entry, new Context(), now.wallMs, "asked");',
    replace: "const outcome = { ...this.#store.merge({ ...entry, record: new Uint8Array(0), gone: [] }, new Context(), now.wallMs) };",
  },
  {
    name: "what the answerer of a read never heard of counts as deleted there",
    file: "lib/replica/reads.ts",
    find: "held.filter((dot) => this.#store.context.has(dot) && !includesDot(live, dot))",
    replace: "held.filter((dot) => !includesDot(live, dot))",
  },
];

const merging: readonly Mutant[] = [
  {
    name: "a write that merges replaces only what its writer had read, and yet takes up all",
    file: "lib/core/local-write.ts",
    find: "if (policy === undefined) return input.observed;",
    replace: "if (policy !== undefined || true) return input.observed;",
  },
  {
    name: "a write that merges takes up only what its writer had read",
    file: "lib/core/local-write.ts",
    find: "return stored(policy, { contentType, value, held, read: observed, dot, stamp });",
    replace: `const readHeld = observed === undefined ? held : held.filter((sibling) => includesDot(observed, sibling.dot));
  return stored(policy, { contentType, value, held: readHeld, read: observed, dot, stamp });`,
  },
  {
    name: "an increment begins from nothing",
    file: "lib/core/local-write.ts",
    find: "return increment(held, dot, input.increment);",
    replace: "return increment(held.length > 1 ? [] : held, dot, input.increment);",
  },
  {
    name: "of a counter's shares the older is taken",
    file: "lib/core/policy/counter.ts",
    find: "if (share.counter > (joined.get(name)?.counter ?? 0)) joined.set(name, share);",
    replace: "if (share.counter < (joined.get(name)?.counter ?? Infinity)) joined.set(name, share);",
  },
  {
    name: "a key whose conflict has ended stays in the list of conflicts",
    file: "lib/core/store.ts",
    find: "if (siblings.length > 1 !== before.length > 1) this",
    replace: "if (siblings.length > 1) this",
  },
];

export const MUTANTS: readonly Mutant[] = [
  ...[...durability, ...visibility, ...causality, ...digests, ...expiry],
  ...REPAIR_MUTANTS,
  ...DAMAGE_MUTANTS,
  ...[...operations, ...reads, ...merging],
];
