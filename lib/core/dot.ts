/**
 * A dot names one write: (incarnation, counter).
 *
 * An incarnation is a random 64-bit number that a node takes for one unbroken life of its data. It takes a fresh one, at its first
 * write, every time it opens its folder: a folder that was copied back from a backup looks exactly like one that was merely
 * restarted, so the only way never to issue a dot twice is never to continue counting across an open. The price is some
 * eleven bytes of context for each restart that wrote something.
 *
 * Inside the program an incarnation is a string of eight characters, one a byte (as storage keys are), because it is a Map
 * key, a part of storage keys and compared all the time; people see sixteen hexadecimal digits.
 */
import type { Random } from "./ports.ts";

/** Eight characters, each 0–255: 64 random bits, most significant first. */
export type Incarnation = string;

export interface Dot {
  readonly incarnation: Incarnation;
  /** 1 to COUNTER_MAX. */
  readonly counter: number;
}

/** A counter is 32 bits on disk and on the wire; a node that reaches the end takes a new incarnation. */
export const COUNTER_MAX = 0xffff_ffff;

/** Eight bytes of incarnation and four of counter: a byte string whose order is (incarnation, counter). */
export type DotKey = string;

export function newIncarnation(random: Random): Incarnation {
  return uint32Chars(random.uint32()) + uint32Chars(random.uint32());
}

/** The half of the incarnation that, with the counter, makes the 64-bit name of a dot in sketches. */
export function incarnationLow32(incarnation: Incarnation): number {
  return readUint32(incarnation, 4);
}

export function dotKey(incarnation: Incarnation, counter: number): DotKey {
  return incarnation + uint32Chars(counter);
}

export function dotOfKey(key: DotKey): Dot {
  return { incarnation: key.slice(0, 8), counter: readUint32(key, 8) };
}

/** The counter of a dot at the end of a longer key. */
export function counterAtEnd(key: string): number {
  return readUint32(key, key.length - 4);
}

export function sameDot(a: Dot, b: Dot): boolean {
  return a.counter === b.counter && a.incarnation === b.incarnation;
}

export function compareDots(a: Dot, b: Dot): number {
  if (a.incarnation !== b.incarnation) return a.incarnation < b.incarnation ? -1 : 1;
  return a.counter - b.counter;
}

export function includesDot(dots: readonly Dot[], dot: Dot): boolean {
  for (const other of dots) if (sameDot(other, dot)) return true;
  return false;
}

/** For people: `00c0ffee00c0ffee:7`. */
export function formatDot(dot: Dot): string {
  return `${formatIncarnation(dot.incarnation)}:${dot.counter}`;
}

export function formatIncarnation(incarnation: Incarnation): string {
  return Buffer.from(incarnation, "latin1").toString("hex");
}

function uint32Chars(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

function readUint32(text: string, at: number): number {
  return ((text.charCodeAt(at) << 24) | (text.charCodeAt(at + 1) << 16) | (text.charCodeAt(at + 2) << 8) | text.charCodeAt(at + 3)) >>> 0;
}
