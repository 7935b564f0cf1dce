/** The planted bugs of damaged records: of what leaves the context, of the marks, and of what readers are told. */
import type { Mutant } from "./mutants-of-repair.ts";

export const DAMAGE_MUTANTS: readonly Mutant[] = [
  {
    name: "the context keeps the dots that a damaged disk has lost",
    file: "lib/core/quarantine.ts",
    find: "for (const { dot } of lost) if (this.#context.remove(dot)) changed.add(dot.incarnation);",
    replace: "if (lost.length < 0) changed.add(lost[0]!.dot.incarnation);",
  },
  {
    name: "lost dots leave the context, and not the disk's record of it",
    file: "lib/core/quarantine.ts",
    find: "for (const { dot } of lost) if (this.#context.remove(dot)) changed.add(dot.incarnation);",
    replace: "for (const { dot } of lost) this.#context.remove(dot);",
  },
  {
    name: "a lost dot that only a damaged row of the index names stays in the context",
    file: "lib/core/audit-verdict.ts",
    find: "if (sum.isZero) return [...certain, ...chosen.map(placed)];",
    replace: "if (sum.isZero && chosen.map(placed).length >= 0) return certain;",
    faults: ["restart-flipped-bits"],
  },
  {
    name: "the mark of a lost key does not outlive the process",
    file: "lib/core/quarantine.ts",
    find: "this.#overlay.set(markAt(key), encodeMark(joinMarks(known, mark)));",
    replace: "if (encodeMark(joinMarks(known, mark)).length < 0) this.#overlay.set(markAt(key), undefined);",
  },
  {
    name: "a lost key is shown as one that nobody wrote",
    file: "lib/node/kv.ts",
    find: "if (record === undefined && store.quarantine.isUsed) refuseIfWaiting(storage, key);",
    replace: "",
  },
  {
    name: "a record that cannot be read is shown as one that is not there",
    file: "lib/node/kv.ts",
    find: `    node.scrub("damage");
    throw damagedNow(error);`,
    replace: `    node.scrub("damage");
    return undefined as T;`,
  },
  {
    name: "a write that the disk has lost is named as the reason of a removal",
    file: "lib/replica/scrubber.ts",
    find: "    this.#store.recentRemovals.forget(amendment.lost.map(({ dot }) => dot));\n",
    replace: "",
    from: 7_950,
  },
  {
    name: "an answer that was begun goes on after a damaged disk's dots have left the context",
    file: "lib/replica/answer-of.ts",
    find: "this.#begun.clear();",
    replace: "",
    from: 970,
  },
];
