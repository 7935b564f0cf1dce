/**
 * Tells when files have been changed, by looking at them every two seconds.
 *
 * Looking works where notifications do not: on network file systems, and where a platform swaps a link to a folder of secrets. A change is told once the files have stayed as they
 * are for one look: a certificate and its key are written one after the other.
 */
import { statSync } from "node:fs";

export interface FileWatch {
  stop(): void;
}

const LOOK_EVERY_MS = 2_000;

/** To be called before the files are read, so that no change falls in between. `onChange` must not throw. */
export function watchFiles(paths: readonly string[], onChange: () => void): FileWatch {
  let told = looksOf(paths);
  let last = told;
  const timer = setInterval(() => {
    const looks = looksOf(paths);
    const isSettled = looks === last;
    last = looks;
    if (!isSettled || looks === told) return;
    told = looks;
    onChange();
  }, LOOK_EVERY_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/** The same text for the same files. A file that is not there is one more way to look. */
function looksOf(paths: readonly string[]): string {
  return paths.map(lookOf).join(" ");
}

function lookOf(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stats === undefined ? "-" : `${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}
