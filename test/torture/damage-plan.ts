/** What a seed does to a data file: bits flipped here and there or in one page, pages zeroed, overwritten by others or cut off. */
import { Prng } from "../../lib/sim/prng.ts";

const PAGE_BYTES = 4_096;

const KINDS = {
  "one bit": (file: Buffer, prng: Prng) => flip(file, prng, 1, 0, file.length),
  "a few bits": (file: Buffer, prng: Prng) => flip(file, prng, prng.between(2, 20), 0, file.length),
  "bits of one page": (file: Buffer, prng: Prng) => {
    const at = pageAt(file, prng);
    return flip(file, prng, prng.between(1, 8), at, at + PAGE_BYTES);
  },
  "a byte of a page's head": (file: Buffer, prng: Prng) => {
    const at = pageAt(file, prng);
    return flip(file, prng, 1, at, at + 64);
  },
  "a zeroed sector": (file: Buffer, prng: Prng) => {
    const at = 512 * prng.below(Math.floor(file.length / 512));
    return file.fill(0, at, at + 512);
  },
  "a zeroed page": (file: Buffer, prng: Prng) => {
    const at = pageAt(file, prng);
    return file.fill(0, at, at + PAGE_BYTES);
  },
  "a page over another": (file: Buffer, prng: Prng) => {
    const from = pageAt(file, prng);
    file.copy(file, pageAt(file, prng), from, from + PAGE_BYTES);
    return file;
  },
  "a cut": (file: Buffer, prng: Prng) => file.subarray(0, prng.below(file.length)),
} as const;

export type DamageKind = keyof typeof KINDS;

/** Flipped bits in most seeds: that is what disks do. */
const WEIGHTED: readonly DamageKind[] = [
  ...["one bit", "one bit", "a few bits", "a few bits", "bits of one page", "bits of one page", "a byte of a page's head"],
  ...["a zeroed sector", "a zeroed page", "a page over another", "a cut"],
] as DamageKind[];

export function damageFile(seed: number, original: Buffer): { readonly kind: DamageKind; readonly file: Buffer } {
  const prng = new Prng(`damage ${seed}`);
  const kind = prng.pick(WEIGHTED);
  return { kind, file: KINDS[kind](Buffer.from(original), prng) };
}

function flip(file: Buffer, prng: Prng, bits: number, from: number, to: number): Buffer {
  for (let i = 0; i < bits; i++) {
    const at = from + prng.below(Math.min(to, file.length) - from);
    file[at]! ^= 1 << prng.below(8);
  }
  return file;
}

function pageAt(file: Buffer, prng: Prng): number {
  return PAGE_BYTES * prng.below(Math.floor(file.length / PAGE_BYTES));
}
