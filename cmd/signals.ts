/**
 * When to stop: SIGINT and SIGTERM, and the end of the process that started this one, as seen by its channel to us (a local cluster's nodes
 * do not outlive `concord up`, however that ends).
 *
 * One Ctrl-C may arrive twice at once: from the terminal, and from npm, which passes on what it gets. So only a signal that comes a while
 * after the first means that somebody is out of patience.
 */
export interface StopRequest {
  /** Resolves at the first of them. */
  readonly asked: Promise<void>;
  readonly isAsked: boolean;
  /** Listens no more. */
  dispose(): void;
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;
/** npm needs some milliseconds; a person's second thought takes longer than that. */
const IMPATIENT_AFTER_MS = 500;

export function listenForStop(onImpatience: () => void): StopRequest {
  let askedAtMs: number | undefined;
  let resolveAsked: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => (resolveAsked = resolve));
  const onSignal = (): void => {
    if (askedAtMs === undefined) {
      askedAtMs = performance.now();
      resolveAsked();
    } else if (performance.now() - askedAtMs > IMPATIENT_AFTER_MS) onImpatience();
  };
  const onDisconnect = (): void => {
    askedAtMs ??= performance.now();
    resolveAsked();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  if (process.channel !== undefined) process.on("disconnect", onDisconnect);
  return {
    asked,
    get isAsked() {
      return askedAtMs !== undefined;
    },
    dispose() {
      for (const signal of SIGNALS) process.off(signal, onSignal);
      process.off("disconnect", onDisconnect);
    },
  };
}
