/**
 * The only source of chance in a simulation: sfc32, seeded by a number and a label.
 *
 * Everything that rolls dice has a stream of its own, named by a label (each link, each disk, each life of a node). So an element
 * that is removed from a plan, by a person or by the shrinker, leaves the chances of all the others as they were: what remains
 * is nearly the same run, and fails again.
 */
import type { Random } from "../core/ports.ts";

export class Prng implements Random {
  readonly #name: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(name: string) {
    this.#name = name;
    this.#a = hashOf(name, 0x9e3779b9);
    this.#b = hashOf(name, 0x85ebca6b);
    this.#c = hashOf(name, 0xc2b2ae35);
    for (let i = 0; i < 12; i++) this.uint32();
  }

  /** A stream of its own, the same for the same label however much was drawn from this one. */
  fork(label: string): Prng {
    return new Prng(`${this.#name}/${label}`);
  }

  uint32(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + result;
    this.#c |= 0;
    return result >>> 0;
  }

  /** 0 to `end` − 1. */
  below(end: number): number {
    return Math.floor((this.uint32() / 2 ** 32) * end);
  }

  /** `from` to `to`, both included. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  chance(share: number): boolean {
    return this.uint32() / 2 ** 32 < share;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }

  /** A small number mostly, a large one seldom: delays look like that. */
  skewed(from: number, to: number): number {
    const share = this.uint32() / 2 ** 32;
    return from + Math.floor((to - from) * share ** 4);
  }
}

/** FNV-1a with a final mix. */
function hashOf(text: string, basis: number): number {
  let hash = basis;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) | 0;
}
