/** What a process takes, sample by sample, and whether it grows: memory of its own, descriptors, the size of its data file. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

export interface Sample {
  readonly atMs: number;
  /** Anonymous memory: the heap and the buffers, without the mapped file. */
  readonly memoryBytes: number;
  readonly descriptors: number;
  readonly fileBytes: number;
}

export type Measure = Exclude<keyof Sample, "atMs">;

const MS_OF_HOUR = 3_600_000;

/** From /proc, so Linux only. Undefined when the process is not there. */
export async function sampleOf(pid: number, folder: string): Promise<Sample | undefined> {
  try {
    const [status, descriptors, file] = await Promise.all([
      readFile(`/proc/${pid}/status`, "utf8"),
      readdir(`/proc/${pid}/fd`),
      stat(join(folder, "data.mdb")),
    ]);
    const memoryBytes = 1024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]);
    return { atMs: performance.now(), memoryBytes, descriptors: descriptors.length, fileBytes: file.size };
  } catch {
    return undefined;
  }
}

/** Of a straight line through the samples (least squares), for an hour. The first quarter is warming up. */
export function slopeOf(samples: readonly Sample[], measure: Measure): number {
  const settled = samples.slice(samples.length >> 2);
  const mean = (of: (sample: Sample) => number): number => settled.reduce((sum, sample) => sum + of(sample), 0) / settled.length;
  const meanMs = mean(({ atMs }) => atMs);
  const meanValue = mean((sample) => sample[measure]);
  const spread = mean(({ atMs }) => (atMs - meanMs) ** 2);
  if (settled.length < 2 || spread === 0) return 0;
  return (mean((sample) => (sample.atMs - meanMs) * (sample[measure] - meanValue)) / spread) * MS_OF_HOUR;
}

/** The highest of the last quarter. */
export function lastOf(samples: readonly Sample[], measure: Measure): number {
  return Math.max(...samples.slice(-Math.ceil(samples.length / 4)).map((sample) => sample[measure]));
}
