/**
 * What a write is answered with. A class, because it is made for every write: a token takes a hash to seal and a tag another, and who does
 * not ask for them does not pay.
 */
import { tagOf } from "../core/condition.ts";
import type { DigestKey } from "../core/digest.ts";
import type { Dot } from "../core/dot.ts";
import type { KvReceipt } from "../core/kv.ts";
import type { EntryKey } from "../core/layout.ts";
import { encodeToken } from "../core/token.ts";

/** The dots of one operation. */
type Dots = Dot | readonly Dot[] | undefined;

export class Receipt implements KvReceipt {
  readonly changed: readonly boolean[];
  readonly copies: number;
  readonly #digestKey: DigestKey;
  readonly #keys: readonly EntryKey[];
  readonly #dots: readonly Dots[];

  constructor(digestKey: DigestKey, keys: readonly EntryKey[], dots: readonly Dots[], copies: number) {
    this.changed = dots.map((some) => some !== undefined);
    this.copies = copies;
    this.#digestKey = digestKey;
    this.#keys = keys;
    this.#dots = dots;
  }

  get tokens(): readonly string[] {
    return this.#dots.map((dots, i) => encodeToken(this.#digestKey, this.#keys[i]!, listOf(dots)));
  }

  get tags(): readonly string[] {
    return this.#dots.map((dots, i) => tagOf(this.#digestKey, this.#keys[i]!, listOf(dots)));
  }
}

function listOf(dots: Dots): readonly Dot[] {
  if (dots === undefined) return [];
  return "counter" in dots ? [dots] : dots;
}
