/**
 * Virtual time: a queue of things to happen, ordered by their time and, within one millisecond, by the order in which they were
 * planned. Nothing waits for anything: an hour passes as fast as its events can be worked off.
 */
interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly happen: () => void;
}

export class Events {
  readonly #heap: Planned[] = [];
  #order = 0;
  #nowMs = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  at(atMs: number, happen: () => void): void {
    this.#heap.push({ atMs: Math.max(atMs, this.#nowMs), order: this.#order++, happen });
    this.#rise(this.#heap.length - 1);
  }

  after(delayMs: number, happen: () => void): void {
    this.at(this.#nowMs + delayMs, happen);
  }

  /** Lets the next thing happen when it is due before `endMs`; else moves the time to there and returns false. */
  next(endMs: number): boolean {
    const first = this.#heap[0];
    if (first === undefined || first.atMs >= endMs) {
      this.#nowMs = endMs;
      return false;
    }
    const last = this.#heap.pop()!;
    if (this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#sink();
    }
    this.#nowMs = first.atMs;
    first.happen();
    return true;
  }

  #rise(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!before(this.#heap[at]!, this.#heap[parent]!)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(): void {
    let at = 0;
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.#heap.length && before(this.#heap[child]!, this.#heap[least]!)) least = child;
      }
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    const planned = this.#heap[a]!;
    this.#heap[a] = this.#heap[b]!;
    this.#heap[b] = planned;
  }
}

function before(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
