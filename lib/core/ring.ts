/** The last so many things, oldest out first. (A Map used as a queue gets slow: its first entry lies behind all that were deleted.) */
export class Ring<T> {
  readonly #max: number;
  readonly #items: T[] = [];
  /** Where the oldest is, once the ring is full. */
  #oldest = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#items.length;
  }

  /** Returns what had to go. */
  add(item: T): T | undefined {
    if (this.#items.length < this.#max) {
      this.#items.push(item);
      return undefined;
    }
    if (this.#max === 0) return item;
    const gone = this.#items[this.#oldest];
    this.#items[this.#oldest] = item;
    this.#oldest = (this.#oldest + 1) % this.#max;
    return gone;
  }

  /** Oldest first. */
  *[Symbol.iterator](): Generator<T> {
    for (let i = 0; i < this.#items.length; i++) yield this.#items[(this.#oldest + i) % this.#items.length]!;
  }
}
