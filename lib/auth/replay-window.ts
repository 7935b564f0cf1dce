/**
 * Which numbers of one sender have been seen, in a fixed piece of memory, as IPsec does it: the highest, and a bit for each of the last
 * thousand below it. What is older than that is refused, seen or not; a sender has far fewer requests under way at once.
 */
const WINDOW = 1_024;

export class ReplayWindow {
  #highest = -1;
  readonly #seen = new Uint32Array(WINDOW / 32);

  /** False for a number that was taken before, or that is too old to tell. */
  take(count: number): boolean {
    if (count > this.#highest) {
      // Above the highest the bits are those of numbers a window ago.
      for (let i = Math.max(this.#highest + 1, count - WINDOW + 1); i < count; i++) this.#clear(i);
      this.#highest = count;
    } else if (count <= this.#highest - WINDOW || this.#has(count)) return false;
    this.#set(count);
    return true;
  }

  #has(count: number): boolean {
    const bit = count % WINDOW;
    return ((this.#seen[bit >>> 5] as number) & (1 << (bit & 31))) !== 0;
  }

  #set(count: number): void {
    const bit = count % WINDOW;
    (this.#seen[bit >>> 5] as number) |= 1 << (bit & 31);
  }

  #clear(count: number): void {
    const bit = count % WINDOW;
    (this.#seen[bit >>> 5] as number) &= ~(1 << (bit & 31));
  }
}
