/**
 * What strace has seen of a node, as events in their order: what was written to which file of the folder and where, what was synchronised, which
 * names were made, and when which answer left for a client.
 *
 * A call has a begin and an end, and others come between: what was begun may be on the disk, what was synchronised between a begin and an end of
 * fdatasync is there only after the end.
 */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";

export type DiskEvent =
  | { readonly kind: "create"; readonly file: string; readonly truncate: boolean }
  | { readonly kind: "rename"; readonly file: string; readonly to: string }
  /** `id` ties the end of a call to its begin. */
  | {
      readonly kind: "write";
      readonly id: number;
      readonly file: string;
      readonly at: number;
      readonly data: Buffer;
      readonly isSync: boolean;
    }
  | { readonly kind: "sync"; readonly id: number; readonly file: string }
  | { readonly kind: "end"; readonly id: number; readonly fine: boolean }
  /** An answer begins to leave the node; the keys that it is about. */
  | { readonly kind: "answer"; readonly keys: readonly string[] };

/** Traced calls; everything else runs at full speed (--seccomp-bpf). */
export const TRACED = "openat,lseek,pwrite64,pwritev,write,writev,sendmsg,fdatasync,fsync,ftruncate,fallocate,msync,rename,mmap";

interface Call {
  readonly name: string;
  readonly words: string;
  id: number;
}

export async function readTrace(path: string, folder: string): Promise<DiskEvent[]> {
  const reader = new TraceReader(folder);
  for await (const line of createInterface({ input: createReadStream(path, "latin1"), crlfDelay: Infinity })) reader.read(line);
  return reader.events;
}

class TraceReader {
  readonly events: DiskEvent[] = [];
  readonly #folder: string;
  readonly #open = new Map<string, Call>();
  readonly #positions = new Map<string, number>();
  readonly #syncing = new Set<string>();
  /** Calls that are events and have not ended. */
  readonly #begun = new Set<number>();
  #lastId = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  read(line: string): void {
    const [, pid = "", rest = ""] = /^(\d+) +(.*)$/s.exec(line) ?? [];
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/s.exec(rest);
    if (resumed !== null) {
      const call = this.#open.get(pid);
      this.#open.delete(pid);
      if (call !== undefined) this.#end({ ...call, words: call.words + resumed[1]! }, resultOf(resumed[1]!));
      return;
    }
    const begun = /^(\w+)\((.*)$/s.exec(rest);
    if (begun === null) return;
    const isUnfinished = rest.endsWith("<unfinished ...>");
    const call = { name: begun[1]!, words: begun[2]!.replace(/ *<unfinished \.\.\.>$/, ""), id: ++this.#lastId };
    this.#begin(call);
    if (isUnfinished) this.#open.set(pid, call);
    else this.#end(call, resultOf(rest));
  }

  #begin({ name, words, id }: Call): void {
    const { fd, file } = this.#fileOf(words);
    if (file === undefined) {
      if (name === "write" || name === "writev" || name === "sendmsg") this.#answer(words);
      return;
    }
    const isSync = this.#syncing.has(`${fd} ${file}`);
    const write = (at: number, data: Buffer): void => {
      this.events.push({ kind: "write", id, file, at, data, isSync });
      this.#begun.add(id);
    };
    if (name === "fdatasync" || name === "fsync") {
      this.events.push({ kind: "sync", id, file });
      this.#begun.add(id);
    }
    if (name === "pwrite64" || name === "pwritev") write(Number(/, (\d+)\)?(?: += .*)?$/.exec(words)?.[1]), bytesOf(words));
    if (name === "write" || name === "writev") {
      const at = this.#positions.get(`${fd} ${file}`) ?? 0;
      const data = bytesOf(words);
      write(at, data);
      this.#positions.set(`${fd} ${file}`, at + data.length);
    }
    if (name === "ftruncate" || name === "fallocate" || name === "msync")
      throw new Error(`${name} of ${file}: the images know nothing of it`);
    if (name === "mmap" && words.includes("PROT_WRITE"))
      throw new Error(`${file} is written through memory: the images know nothing of it`);
  }

  #end({ name, words, id }: Call, result: string): void {
    const isFine = !result.startsWith("-1");
    const { fd, file } = this.#fileOf(words);
    if (name === "openat" && isFine) this.#opened(words, result);
    if (name === "rename" && isFine) {
      const [from = "", to = ""] = textsOf(words);
      const renamed = this.#within(from);
      if (renamed !== undefined) this.events.push({ kind: "rename", file: renamed, to: this.#within(to) ?? to });
    }
    if (file === undefined) return;
    if (name === "lseek" && isFine) this.#positions.set(`${fd} ${file}`, Number(result));
    else if (this.#begun.delete(id)) this.events.push({ kind: "end", id, fine: isFine });
  }

  #opened(words: string, result: string): void {
    const file = this.#within(textsOf(words)[0] ?? "");
    if (file === undefined) return;
    const fd = /^\d+/.exec(result)?.[0];
    this.#positions.set(`${fd} ${file}`, 0);
    if (/O_DSYNC|O_SYNC/.test(words)) this.#syncing.add(`${fd} ${file}`);
    else this.#syncing.delete(`${fd} ${file}`);
    if (words.includes("O_CREAT")) this.events.push({ kind: "create", file, truncate: words.includes("O_TRUNC") });
  }

  /** The file that the call's descriptor stands for, when it is one of the folder. */
  #fileOf(words: string): { readonly fd: string; readonly file: string | undefined } {
    const [, fd = "", path = ""] = /^(\d+)<([^>]*)>/.exec(words) ?? /, (\d+)<([^>]*)>, (?:0|0x0)\)?/.exec(words) ?? [];
    return { fd, file: this.#within(unescape(path)) };
  }

  /** lock.mdb holds nothing that outlives the process. */
  #within(path: string): string | undefined {
    if (path === this.#folder) return ".";
    if (!path.startsWith(`${this.#folder}/`) || path.endsWith("/lock.mdb")) return undefined;
    return path.slice(this.#folder.length + 1);
  }

  #answer(words: string): void {
    const text = bytesOf(words).toString("latin1");
    if (!/^HTTP\/1\.1 200 /.test(text)) return;
    const keys = Array.from(text.matchAll(/"key":"([^"]*)"/g), ([, key = ""]) => key);
    if (keys.length > 0) this.events.push({ kind: "answer", keys });
  }
}

function resultOf(text: string): string {
  return /\) += (.*)$/s.exec(text)?.[1] ?? "";
}

/** All strings of a call, one after the other: the parts of a writev. */
function bytesOf(words: string): Buffer {
  return Buffer.concat(Array.from(words.matchAll(/"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?/g), ([, text = "", cut]) => hex(text, cut)));
}

function textsOf(words: string): string[] {
  return Array.from(words.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g), ([, text = ""]) => unescape(text));
}

function hex(text: string, cut: string | undefined): Buffer {
  if (cut !== undefined) throw new Error("strace has not recorded all bytes of a write");
  return Buffer.from(text.replaceAll("\\x", ""), "hex");
}

/** Paths are printed as hexadecimal too by some versions. */
function unescape(text: string): string {
  return text.startsWith("\\x") ? Buffer.from(text.replaceAll("\\x", ""), "hex").toString() : text;
}
