/**
 * The parts of prom-client that we load one by one: its index also loads its push gateway and cluster support,
 * and with them HTTP, TLS and more, which cost an idle agent 16 MiB of resident memory.
 */
declare module 'prom-client/lib/registry.js' {
  import type { Metric, Registry as Whole } from 'prom-client';

  /** What the registry asks of a metric. */
  interface Readable {
    readonly name: string;
    get(): Promise<{
      name: string;
      help: string;
      type: string;
      aggregator: string;
      values: { metricName?: string; labels: Record<string, string | number>; value: number }[];
    }>;
  }
  export default class Registry extends Whole {
    registerMetric<Label extends string>(metric: Metric<Label> | Readable): void;
  }
}

declare module 'prom-client/lib/counter.js' {
  export { Counter as default } from 'prom-client';
}

declare module 'prom-client/lib/gauge.js' {
  export { Gauge as default } from 'prom-client';
}
