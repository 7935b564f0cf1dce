/**
 * Loaded into a node that is measured (`--import`): how long the turns of its event loop are, and what they were spent on.
 *
 * A turn here is the time between two firings of a timer of a millisecond. What the garbage collector took of it is counted apart, and so is,
 * where Linux tells, the time in which the thread could have run and another process had the processor: on a shared machine most long
 * turns are that. No turn counts for more than this thread had of the processors meanwhile (or, where nobody tells that, the whole process),
 * so that a machine which stands still for all is left out too. What is left is ours. The bench says "begin" and "end"; the answer to "end" is TurnFigures. A bench without a channel sends
 * SIGUSR2: the figures go to stderr, and it begins anew, as it does when the node meets a peer: what came before is the start of the program.
 */
import { openSync, readSync } from "node:fs";
import { PerformanceObserver } from "node:perf_hooks";

export interface TurnFigures {
  /** Milliseconds of this node's own work in a turn; the 99th of a hundred turns of a millisecond or more, the 999th of a thousand, and the longest. */
  readonly ownP99Ms: number;
  readonly ownP999Ms: number;
  readonly ownMaxMs: number;
  /** The longest together with what the collector took of it. */
  readonly allMaxMs: number;
  /** Turns with more than twenty of them. */
  readonly over20: number;
  readonly gcMaxMs: number;
  /** Processor time of the whole process since "begin", the storage's and the collector's threads included. */
  readonly cpuMs: number;
}

interface Span {
  readonly startMs: number;
  readonly endMs: number;
}

/** Shorter turns are not looked at. */
const TURN_MS_MIN = 1;
const LONG_MS = 20;

/** What Linux says that a thread ran is at most so much behind (measured: half of it). */
const BEHIND_MS = 1;

/** What the line with the figures begins with. */
const FIGURES = "turns ";

const turns: (Span & { readonly ranMs: number })[] = [];
const collections: Span[] = [];
let cpu = process.cpuUsage();
let file: number | undefined;
const buffer = Buffer.alloc(64);

const observer = new PerformanceObserver((list) => note(list.getEntries()));
observer.observe({ entryTypes: ["gc"] });
process.on("message", (said) => {
  if (said === "begin") begin();
  else if (said === "end") process.send?.(figures());
});
process.channel?.unref();
process.on("SIGUSR2", () => {
  process.stderr.write(`${FIGURES}${JSON.stringify(figures())}\n`);
  begin();
});
for (const stream of [process.stdout, process.stderr]) {
  const write = stream.write.bind(stream);
  stream.write = (text: string | Uint8Array, ...rest: never[]) => {
    if (String(text).includes(" is up")) begin();
    return write(text, ...rest);
  };
}
watch(performance.now(), thread(), process.cpuUsage());

function watch(lastMs: number, last: Thread, lastCpu: NodeJS.CpuUsage): void {
  setTimeout(() => {
    const [nowMs, now, nowCpu] = [performance.now(), thread(), process.cpuUsage()];
    const usedMs = (nowCpu.user + nowCpu.system - lastCpu.user - lastCpu.system) / 1000;
    const ranMs = now.ranMs === 0 ? Infinity : now.ranMs - last.ranMs + BEHIND_MS;
    if (nowMs - lastMs > 1 + TURN_MS_MIN) {
      turns.push({ startMs: lastMs, endMs: nowMs, ranMs: Math.min(nowMs - lastMs - (now.waitedMs - last.waitedMs), usedMs, ranMs) });
    }
    watch(nowMs, now, nowCpu);
  }, 1).unref();
}

/** Milliseconds that this thread has run and has waited for a processor since it began; 0 where nobody tells. */
interface Thread {
  readonly ranMs: number;
  readonly waitedMs: number;
}

function thread(): Thread {
  const [ran = "0", waited = "0"] = schedulerLine().split(" ");
  return { ranMs: Number(ran) / 1e6, waitedMs: Number(waited) / 1e6 };
}

function schedulerLine(): string {
  try {
    file ??= openSync("/proc/thread-self/schedstat", "r");
    return buffer.toString("latin1", 0, readSync(file, buffer, 0, buffer.length, 0));
  } catch {
    return "0 0";
  }
}

function note(entries: readonly { readonly startTime: number; readonly duration: number }[]): void {
  for (const { startTime, duration } of entries) collections.push({ startMs: startTime, endMs: startTime + duration });
}

function begin(): void {
  turns.length = collections.length = 0;
  cpu = process.cpuUsage();
}

function figures(): TurnFigures {
  note(observer.takeRecords());
  const own = turns.map((turn) => turn.ranMs - collectedIn(turn)).sort((a, b) => a - b);
  const { user, system } = process.cpuUsage(cpu);
  return {
    ownP99Ms: own[Math.floor(own.length * 0.99)] ?? 0,
    ownP999Ms: own[Math.floor(own.length * 0.999)] ?? 0,
    ownMaxMs: own.at(-1) ?? 0,
    allMaxMs: turns.reduce((most, { ranMs }) => Math.max(most, ranMs), 0),
    over20: own.filter((ms) => ms > LONG_MS).length,
    gcMaxMs: collections.reduce((most, { startMs, endMs }) => Math.max(most, endMs - startMs), 0),
    cpuMs: (user + system) / 1000,
  };
}

function collectedIn({ startMs, endMs }: Span): number {
  let sum = 0;
  for (const one of collections) sum += Math.max(0, Math.min(one.endMs, endMs) - Math.max(one.startMs, startMs));
  return sum;
}
