/**
 * The folder as a disk may hold it after the power went away at some moment: everything that was synchronised, and of the rest any sectors.
 *
 * A sector of 512 bytes is written whole or not at all; a write of several may be torn anywhere. Writes that were not synchronised may reach the
 * disk in any order, later ones without earlier ones. Names come in their order, as journals keep them, and are safe when their folder was synchronised.
 */
import type { Prng } from "../../lib/sim/prng.ts";
import type { DiskEvent } from "./power-trace.ts";

const SECTOR_BYTES = 512;

interface Pending {
  readonly id: number;
  readonly at: number;
  readonly data: Buffer;
  readonly isSync: boolean;
  isDone: boolean;
}

interface FileState {
  durable: Buffer;
  pending: Pending[];
}

type NameEvent = Extract<DiskEvent, { readonly kind: "create" | "rename" }>;

export interface Image {
  readonly files: ReadonlyMap<string, Buffer>;
  /** Sectors that were not synchronised: how many there were, and how many of them are in the image. */
  readonly loose: number;
  readonly kept: number;
}

/** The disk when the power goes away just before the event of that number. */
export function imageAt(events: readonly DiskEvent[], cut: number, prng: Prng): Image {
  const disk = new Disk();
  for (let i = 0; i < cut; i++) disk.take(events[i]!);
  return disk.image(prng);
}

class Disk {
  /** By the name that a file had first: renaming does not touch what is in it. */
  readonly #files = new Map<string, FileState>();
  readonly #firstName = new Map<string, string>();
  #names: NameEvent[] = [];
  #durableNames = new Map<string, string>();
  readonly #calls = new Map<number, () => void>();

  take(event: DiskEvent): void {
    switch (event.kind) {
      case "create":
        return this.#create(event);
      case "rename":
        this.#names.push(event);
        this.#firstName.set(event.to, this.#first(event.file));
        return;
      case "write": {
        const file = this.#file(event.file);
        const pending: Pending = { ...event, isDone: false };
        file.pending.push(pending);
        this.#calls.set(event.id, () => {
          pending.isDone = true;
          if (pending.isSync) settle(file, [pending]);
        });
        return;
      }
      case "sync":
        return this.#sync(event);
      case "end":
        if (event.fine) this.#calls.get(event.id)?.();
        this.#calls.delete(event.id);
        return;
      case "answer":
        return;
    }
  }

  image(prng: Prng): Image {
    const names = new Map(this.#durableNames);
    for (const event of this.#names.slice(0, prng.between(0, this.#names.length))) rename(names, event, this.#first(event.file));
    const files = new Map<string, Buffer>();
    let loose = 0;
    let kept = 0;
    for (const [name, first] of names) {
      const { durable, pending } = this.#files.get(first) ?? { durable: Buffer.alloc(0), pending: [] };
      let content: Buffer = Buffer.from(durable);
      // Mostly some, at times nearly none or nearly all: a whole batch but its last page.
      const share = prng.pick([0, 0.05, 0.5, 0.5, 0.95, 1]);
      for (const { at, data } of pending) {
        for (let from = at; from < at + data.length;) {
          const to = Math.min(at + data.length, (Math.floor(from / SECTOR_BYTES) + 1) * SECTOR_BYTES);
          loose++;
          if (prng.chance(share)) {
            kept++;
            content = put(content, from, data.subarray(from - at, to - at));
          }
          from = to;
        }
      }
      files.set(name, content);
    }
    return { files, loose, kept };
  }

  #create(event: Extract<DiskEvent, { readonly kind: "create" }>): void {
    const first = this.#first(event.file);
    if (this.#files.has(first) && !event.truncate) return;
    this.#files.set(first, { durable: Buffer.alloc(0), pending: [] });
    this.#names.push(event);
  }

  #sync({ id, file: name }: Extract<DiskEvent, { readonly kind: "sync" }>): void {
    if (name === ".") {
      const settled = this.#names.length;
      this.#calls.set(id, () => {
        for (const event of this.#names.splice(0, settled)) rename(this.#durableNames, event, this.#first(event.file));
      });
      return;
    }
    const file = this.#file(name);
    const done = file.pending.filter(({ isDone }) => isDone);
    this.#calls.set(id, () => settle(file, done));
  }

  #file(name: string): FileState {
    const first = this.#first(name);
    const file = this.#files.get(first);
    if (file === undefined) throw new Error(`${name} is used before it was made`);
    return file;
  }

  #first(name: string): string {
    return this.#firstName.get(name) ?? name;
  }
}

function rename(names: Map<string, string>, event: NameEvent, first: string): void {
  if (event.kind === "rename") names.delete(event.file);
  names.set(event.kind === "rename" ? event.to : event.file, first);
}

/** In the order in which they were written. */
function settle(file: FileState, done: readonly Pending[]): void {
  for (const { at, data } of file.pending.filter((pending) => done.includes(pending))) file.durable = put(file.durable, at, data);
  file.pending = file.pending.filter((pending) => !done.includes(pending));
}

/** A file grows by zeros. */
function put(content: Buffer, at: number, data: Buffer): Buffer {
  const end = at + data.length;
  let target = content;
  if (end > content.length) {
    target = Buffer.alloc(end);
    content.copy(target);
  }
  data.copy(target, at);
  return target;
}
