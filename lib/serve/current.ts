/**
 * Something that is read from files at the start, and again whenever they have changed. When they cannot be used then, what was read before
 * stays in use, and the log says so once.
 */
import type { Log } from "../core/ports.ts";
import { watchFiles, type FileWatch } from "../runtime/file-watch.ts";

export interface CurrentOptions<T> {
  /** For the log: "the cluster key". */
  readonly what: string;
  readonly paths: readonly string[];
  /** Throws when the files are not what they should be. */
  read(): T;
}

export class Current<T> {
  value: T;
  readonly #options: CurrentOptions<T>;
  readonly #files: FileWatch;
  #onChange: () => void = () => undefined;

  /** Throws what `read` throws. */
  constructor(options: CurrentOptions<T>) {
    this.#options = options;
    // Before the first reading, so that no change falls between the two.
    this.#files = watchFiles(options.paths, () => this.#onChange());
    try {
      this.value = options.read();
    } catch (error) {
      this.#files.stop();
      throw error;
    }
  }

  /** From now on changes are taken over, and told. */
  follow(log: Log, onTaken: (value: T) => void = () => undefined): void {
    const { what } = this.#options;
    this.#onChange = () => {
      try {
        this.value = this.#options.read();
        onTaken(this.value);
        log.write("info", `${what} has changed, and the new is in use`);
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error);
        log.write("warn", `${problem}; ${what} stays what it was`);
      }
    };
  }

  stop(): void {
    this.#files.stop();
  }
}
