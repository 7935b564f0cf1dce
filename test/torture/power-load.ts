/**
 * The writes of a node whose disk is recorded: a few writers, each with keys of its own and one request at a time, so that the answers to a key come
 * in the order of its writes.
 */
import { Prng } from "../../lib/sim/prng.ts";
import { ask } from "./clients.ts";

/** For each key the values that it has one after the other; undefined where it is deleted. Before the first there is nothing. */
export type KeySteps = ReadonlyMap<string, readonly (string | undefined)[]>;

export interface Load {
  readonly steps: KeySteps;
  /** Keys that are always written together, in one batch: none of them may be ahead of the others. */
  readonly together: readonly (readonly string[])[];
}

const WRITERS = 4;
const KEYS_OF_WRITER = 5;
/** So many that a few such batches are more than the journal keeps from the tree. */
const KEYS_OF_BULK = 400;
/** More than a record of the journal may hold: it goes to the tree at once. */
const LARGE_CHARS = 300_000;

export async function writeLoad(url: string, seed: number, turns: number): Promise<Load> {
  const steps = new Map<string, (string | undefined)[]>();
  const few = Array.from({ length: WRITERS }, (_, writer) => ["x", "y", "z"].map((name) => `w${writer}/${name}`));
  const many = Array.from({ length: WRITERS }, (_, writer) => Array.from(Array(KEYS_OF_BULK).keys(), (i) => `w${writer}/bulk/${i}`));
  const stepsOf = (key: string): (string | undefined)[] => {
    let list = steps.get(key);
    if (list === undefined) steps.set(key, (list = []));
    return list;
  };
  const putTogether = async (keys: readonly string[], value: string): Promise<void> => {
    for (const key of keys) stepsOf(key).push(value);
    const operations = keys.map((key) => ({ op: "put", key, value }));
    await check(await ask(`${url}/v1/batch`, "POST", {}, JSON.stringify({ operations }), PATIENCE_MS));
  };
  const writer = async (number: number): Promise<void> => {
    const prng = new Prng(`power ${seed}/writer ${number}`);
    for (let turn = 0; turn < turns; turn++) {
      const name = `${seed}-${number}-${turn}-`;
      if (prng.chance(0.08)) {
        await putTogether(many[number]!, name);
        continue;
      }
      // Small ones, ones of several pages, and some that lmdb keeps in pages of their own.
      const value = name + "v".repeat(prng.chance(0.03) ? LARGE_CHARS : prng.skewed(0, 12_000));
      if (prng.chance(0.2)) {
        await putTogether(few[number]!, value);
        continue;
      }
      const key = `w${number}/${prng.below(KEYS_OF_WRITER)}`;
      const list = stepsOf(key);
      const isDeletion = list.at(-1) !== undefined && prng.chance(0.2);
      list.push(isDeletion ? undefined : value);
      if (isDeletion) await check(await ask(`${url}/store/key?key=${encodeURIComponent(key)}`, "DELETE", {}, undefined, PATIENCE_MS));
      else await check(await ask(`${url}/store`, "POST", {}, JSON.stringify({ key, value }), PATIENCE_MS));
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, number) => writer(number)));
  return { steps, together: [...few, ...many] };
}

/** A node that is traced is slow. */
const PATIENCE_MS = 30_000;

async function check(answer: { readonly status: number; readonly text: string } | undefined): Promise<void> {
  if (answer?.status !== 200) throw new Error(`the recorded node did not take a write: ${answer?.text ?? "no answer"}`);
}
