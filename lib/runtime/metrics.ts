/**
 * Metrics in the text form of Prometheus. The only file that knows prom-client.
 *
 * Everything is counted elsewhere, in plain numbers, and read here when somebody asks: a node that nobody watches pays nothing for the
 * library, and one that is watched pays once for each look. Each node has a registry of its own, so that several live in one process.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

export interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface HistogramSample {
  readonly labels?: Readonly<Record<string, string>>;
  /** For each bound, and last for what lies above all, how many fell between it and the bound before. */
  readonly counts: readonly number[];
  readonly sum: number;
}

/** All samples of one name. */
export type Family =
  | {
      readonly kind: "counter" | "gauge";
      readonly name: string;
      readonly help: string;
      readonly labels?: readonly string[];
      readonly read: () => readonly Sample[];
    }
  | {
      readonly kind: "histogram";
      readonly name: string;
      readonly help: string;
      readonly labels?: readonly string[];
      readonly bounds: readonly number[];
      readonly read: () => readonly HistogramSample[];
    };

export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
}

export function createMetrics(families: readonly Family[]): Metrics {
  const registry = new Registry();
  for (const family of families) register(registry, family);
  return { contentType: registry.contentType, text: () => registry.metrics() };
}

function register(registry: Registry, family: Family): void {
  if (family.kind === "histogram") return registry.registerMetric(new ReadHistogram(family));
  const { name, help, labels = [], read } = family;
  const options = { name, help, labelNames: [...labels], registers: [registry] };
  if (family.kind === "gauge") {
    const gauge: Gauge = new Gauge({
      ...options,
      collect() {
        gauge.reset();
        for (const sample of read()) gauge.set({ ...sample.labels }, sample.value);
      },
    });
    return;
  }
  const counter: Counter = new Counter({
    ...options,
    collect() {
      counter.reset();
      for (const sample of read()) counter.inc({ ...sample.labels }, sample.value);
    },
  });
}

type HistogramFamily = Extract<Family, { kind: "histogram" }>;

/** A histogram can only be observed, value by value; this one says what was counted by somebody else. */
class ReadHistogram extends Histogram {
  readonly #family: HistogramFamily;

  constructor(family: HistogramFamily) {
    super({
      name: family.name,
      help: family.help,
      labelNames: [...(family.labels ?? [])],
      buckets: [...family.bounds],
      registers: [],
    });
    this.#family = family;
  }

  /** What the registry asks for when it writes text. */
  getForPromString(): { readonly name: string; readonly help: string; readonly type: "histogram"; readonly values: readonly Row[] } {
    const { name, help, read } = this.#family;
    return { name, help, type: "histogram", values: read().flatMap((sample) => rowsOf(this.#family, sample)) };
  }
}

interface Row {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

function rowsOf({ name, bounds }: HistogramFamily, { labels, counts, sum }: HistogramSample): Row[] {
  let total = 0;
  const rows: Row[] = counts.map((count, i) => {
    total += count;
    return { metricName: `${name}_bucket`, labels: { ...labels, le: bounds[i] ?? "+Inf" }, value: total };
  });
  rows.push({ metricName: `${name}_sum`, labels: { ...labels }, value: sum });
  rows.push({ metricName: `${name}_count`, labels: { ...labels }, value: total });
  return rows;
}
