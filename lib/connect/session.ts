/**
 * What a session has seen of each key, as the token of the last answer: sent along with the next call for the key, it makes the node
 * answer with something that has seen as much.
 *
 * Tokens cannot be compared, so the calls of a session for one key run one after the other: otherwise an answer that was overtaken would
 * take the place of a later one.
 *
 * That a key is gone leaves no token. The session notes it beside the last one: an answer with that very token is one from before.
 */

/** How a session is kept between processes. */
export type SessionState = Readonly<Record<string, SeenOfKey>>;

export interface SeenOfKey {
  readonly token: string;
  /** The key was gone after that. */
  readonly gone?: boolean | undefined;
}

export interface Memory {
  seenOf(key: string): SeenOfKey | undefined;
  saw(key: string, token: string): void;
  /** The key is not there any more. */
  sawNothing(key: string): void;
  save(): SessionState;
  /** Runs the work when the earlier calls for these keys are over. */
  inOrder<T>(keys: readonly string[], work: () => Promise<T>): Promise<T>;
}

/** Of a hundred bytes or two each. The key that was used longest ago is forgotten first, and read as if it were new. */
const KEYS_MAX = 10_000;

export function createMemory(state: SessionState = {}): Memory {
  const seen = new Map<string, SeenOfKey>(Object.entries(state));
  const last = new Map<string, Promise<unknown>>();

  const note = (key: string, what: SeenOfKey): void => {
    seen.delete(key);
    seen.set(key, what);
    if (seen.size <= KEYS_MAX) return;
    for (const oldest of seen.keys()) {
      seen.delete(oldest);
      return;
    }
  };

  return {
    seenOf: (key) => seen.get(key),
    saw: (key, token) => note(key, { token }),
    sawNothing(key) {
      const known = seen.get(key);
      if (known !== undefined) note(key, { token: known.token, gone: true });
    },
    save: () => Object.fromEntries(seen),
    inOrder(keys, work) {
      const before = keys.map((key) => last.get(key) ?? Promise.resolve());
      const result = Promise.all(before).then(work);
      const over = result.then(
        () => undefined,
        () => undefined,
      );
      for (const key of keys) last.set(key, over);
      void over.then(() => {
        for (const key of keys) if (last.get(key) === over) last.delete(key);
      });
      return result;
    },
  };
}
