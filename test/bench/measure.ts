/** The clock and the table of the benches. */

/** Runs the work `rounds` times and returns the median of operations per second. */
export async function perSecond(operations: number, rounds: number, work: (round: number) => Promise<void> | void): Promise<number> {
  const rates: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const startedMs = performance.now();
    await work(round);
    rates.push((operations / (performance.now() - startedMs)) * 1000);
  }
  return median(rates);
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

export function line(what: string, figure: string, remark = ""): void {
  console.log(`${what.padEnd(52)} ${figure.padStart(16)}  ${remark}`);
}

export function perSecondText(rate: number): string {
  return `${Math.round(rate).toLocaleString("en")} /s`;
}

/** JavaScript's heap and array buffers after a collection, in MB. Needs --expose-gc. */
export function heapMb(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 1e6;
}
