/**
 * A value that is made of named parts, as the policies `fields` (an object's properties) and `union` (an array's elements) store it: each
 * part with the dot and the stamp of the write that put it there, and for the whole what it has seen.
 *
 * Two such values merge by the rule of entry.ts, one level down: a part stays when it is in both, or in one and unseen by the
 * other. So a part that one side removed stays removed, a part that the other side added meanwhile stays, and no mark of the
 * removal is kept: this is an observed-remove map (Shapiro and others, 2011; optimised by Bieniusa and others, 2012).
 *
 * `seen` is a counter for each incarnation, not a set of dots: the writes of one incarnation to one key follow each other, and each
 * builds on what the one before it left, so to have seen one is to have seen those before it.
 */
import { compareDots, formatIncarnation, type Dot, type Incarnation } from "../dot.ts";
import { canonicalJson, validateJson } from "../json.ts";
import { compareStamps, type Stamp } from "../time.ts";
import { elementsOf, propertiesOf, type Property } from "./slices.ts";

/** What a part is called, and its JSON text. For an element of a set both are the element. */
export type Named = Property;

export interface Part extends Named {
  readonly dot: Dot;
  readonly stamp: Stamp;
}

export interface Parts {
  readonly seen: ReadonlyMap<Incarnation, number>;
  readonly parts: readonly Part[];
}

/** How the parts of one write are written down: as an object's properties or as an array's elements. */
export interface PartsForm {
  /** Undefined when the JSON text is of another form. */
  read(json: string): readonly Named[] | undefined;
  write(parts: readonly Named[]): string;
}

/** The parts that stay when all of these meet, those of one name that were put there concurrently included. In no state's order but its own. */
export function joinParts(states: readonly Parts[]): Part[] {
  if (states.length === 1) return [...states[0]!.parts];
  const holding = states.map((state) => new Set(state.parts.map(identity)));
  const joined = new Map<string, Part>();
  for (const { parts } of states) {
    for (const part of parts) {
      const id = identity(part);
      if (joined.has(id)) continue;
      if (states.every((state, i) => holding[i]!.has(id) || !hasSeen(state, part.dot))) joined.set(id, part);
    }
  }
  return [...joined.values()];
}

/** One part for each name: the one that was put there last. */
export function latestParts(parts: readonly Part[]): Map<string, Part> {
  const latest = new Map<string, Part>();
  for (const part of parts) {
    const other = latest.get(part.name);
    if (other === undefined || comparePlaced(part, other) > 0) latest.set(part.name, part);
  }
  return latest;
}

export interface PartsWrite {
  /** All that the replica holds. */
  readonly held: readonly Parts[];
  /** What of it the writer had read: only of that can it have left something out on purpose. */
  readonly read: readonly Parts[];
  /** The writes whose outcome the writer had read, replaced since or not. */
  readonly readDots: readonly Dot[];
  readonly value: readonly Named[];
  readonly dot: Dot;
  readonly stamp: Stamp;
}

/** The value after a write. Parts that the writer gave back as it had read them are not its own: they stay as they are, or gone. */
export function writeParts({ held, read, readDots, value, dot, stamp }: PartsWrite): Parts {
  const joined = joinParts(held);
  const now = latestParts(joined);
  const partsRead = [...joinParts(read), ...joined.filter((part) => isCovered(part, readDots))];
  const wasRead = new Set(partsRead.map(identity));
  const then = latestParts(partsRead);
  const given = new Map(value.map((part) => [part.name, part]));
  const kept = new Set<string>();
  for (const [name, part] of now) {
    const incoming = given.get(name);
    if (incoming !== undefined && isUntouched(incoming, part, then.get(name))) kept.add(name);
  }
  // All that were put there concurrently, not the latest alone: who removes one of them has not seen the others.
  const parts = joined.filter((part) => kept.has(part.name) || (!given.has(part.name) && !wasRead.has(identity(part))));
  for (const [name, part] of given) {
    if (!kept.has(name) && !isSame(part, then.get(name))) parts.push({ ...part, dot, stamp });
  }
  return { seen: seenByAll(held, dot), parts };
}

/** Parts of one write together: `{"seen":{"<incarnation>":7},"by":[["<incarnation>",7,<ms>,<tick>,{…}],…]}`. */
export function encodeParts({ seen, parts }: Parts, form: PartsForm): string {
  const writes = new Map<string, Part[]>();
  for (const part of parts) {
    const { dot, stamp } = part;
    const write = `"${formatIncarnation(dot.incarnation)}",${dot.counter},${stamp.ms},${stamp.tick}`;
    const others = writes.get(write);
    if (others === undefined) writes.set(write, [part]);
    else others.push(part);
  }
  const by = [...writes].map(([write, its]) => `[${write},${form.write(its)}]`);
  const sight = [...seen].map(([incarnation, counter]) => `"${formatIncarnation(incarnation)}":${counter}`).sort();
  return `{"seen":{${sight.join(",")}},"by":[${by.join(",")}]}`;
}

/** Undefined for what no writeParts made. */
export function decodeParts(text: string, form: PartsForm): Parts | undefined {
  const checked = validateJson(text);
  if (!checked.ok) return undefined;
  const [seenText, byText, ...others] = propertiesOf(checked.text) ?? [];
  if (seenText?.name !== '"seen"' || byText?.name !== '"by"' || others.length > 0) return undefined;
  const seen = new Map<Incarnation, number>();
  for (const { name, value } of propertiesOf(seenText.value) ?? []) {
    const dot = readDot(name, value);
    if (dot === undefined) return undefined;
    seen.set(dot.incarnation, dot.counter);
  }
  const parts: Part[] = [];
  for (const write of elementsOf(byText.value) ?? []) {
    const its = readWrite(write, form);
    if (its === undefined) return undefined;
    for (const part of its) parts.push(part);
  }
  return { seen, parts };
}

function readWrite(text: string, form: PartsForm): Part[] | undefined {
  const [name = "", counter = "", ms = "", tick = "", value = "", ...others] = elementsOf(text) ?? [];
  const dot = readDot(name, counter);
  const named = form.read(value);
  if (dot === undefined || named === undefined || others.length > 0 || !COUNT.test(ms) || !COUNT.test(tick)) return undefined;
  const stamp = { ms: Number(ms), tick: Number(tick) };
  return named.map((part) => ({ ...part, dot, stamp }));
}

/** An incarnation and a counter as the texts above hold them. */
export function readDot(name: string, counter: string): Dot | undefined {
  if (!INCARNATION.test(name) || !COUNT.test(counter)) return undefined;
  return { incarnation: Buffer.from(name.slice(1, -1), "hex").toString("latin1"), counter: Number(counter) };
}

const INCARNATION = /^"[0-9a-f]{16}"$/;
const COUNT = /^(0|[1-9][0-9]{0,14})$/;

/** The writer gave back what it had read, or what is there now. */
function isUntouched(incoming: Named, now: Part, then: Part | undefined): boolean {
  return isSame(incoming, now) || isSame(incoming, then);
}

function isSame(a: Named, b: Named | undefined): boolean {
  return b !== undefined && (a.value === b.value || canonicalJson(a.value) === canonicalJson(b.value));
}

function identity({ name, dot }: Part): string {
  return `${dot.incarnation}${dot.counter} ${name}`;
}

function hasSeen({ seen }: Parts, dot: Dot): boolean {
  return (seen.get(dot.incarnation) ?? 0) >= dot.counter;
}

/**
 * What an incarnation wrote to the key up to its write that was read: it was in what was read, or had been taken out. So it is known to have been read
 * also when that write has been replaced meanwhile, and its outcome lies here no more.
 */
function isCovered({ dot }: Part, readDots: readonly Dot[]): boolean {
  return readDots.some(({ incarnation, counter }) => incarnation === dot.incarnation && counter >= dot.counter);
}

function comparePlaced(a: Part, b: Part): number {
  return compareStamps(a.stamp, b.stamp) || compareDots(a.dot, b.dot);
}

function seenByAll(states: readonly Parts[], dot: Dot): Map<Incarnation, number> {
  const seen = new Map<Incarnation, number>();
  for (const state of states) {
    for (const [incarnation, counter] of state.seen) if (counter > (seen.get(incarnation) ?? 0)) seen.set(incarnation, counter);
  }
  return seen.set(dot.incarnation, dot.counter);
}
