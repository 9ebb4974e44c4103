import type { Round } from './closed-loop.ts';
import { median } from './statistics.ts';
import { figure, tableText } from './table.ts';

/** What the rounds of one path come to, at one load: medians. Ratios are to the nginx pair of the same round. */
export interface Summary {
  readonly path: string;
  readonly requestsPerSecond: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  readonly cpuUs: Readonly<Record<string, number>>;
  readonly pathCpuUs: number;
  readonly backendCpuUs: number;
  /** Proxies and bus, backend not counted. */
  readonly cpuRatio: number;
  readonly p50Ratio: number;
  readonly throughputRatio: number;
}

type Figures = Omit<Round, 'connections'>;

/** @param rounds each holds one result of every path that ran, all taken within the same few seconds */
export function summarize(rounds: readonly (readonly Figures[])[]): Summary[] {
  const paths = (rounds[0] ?? []).map((result) => result.path);
  return paths.map((path) => {
    const own = rounds.flatMap((round) => round.filter((result) => result.path === path));
    const middle = (read: (result: Figures) => number) => median(own.map(read));
    const ratio = (read: (result: Figures) => number) =>
      median(
        rounds.flatMap((round) => {
          const mine = round.find((result) => result.path === path);
          const nginx = round.find((result) => result.path === 'nginx');
          return mine && nginx ? [read(mine) / read(nginx)] : [];
        }),
      );
    const names = Object.keys(own[0]?.cpuUs ?? {});
    return {
      path,
      requestsPerSecond: middle((result) => result.requestsPerSecond),
      p50Us: middle((result) => result.p50Us),
      p90Us: middle((result) => result.p90Us),
      p99Us: middle((result) => result.p99Us),
      cpuUs: Object.fromEntries(names.map((name) => [name, middle((result) => result.cpuUs[name]!)])),
      pathCpuUs: middle((result) => result.pathCpuUs),
      backendCpuUs: middle((result) => result.backendCpuUs),
      cpuRatio: ratio((result) => result.pathCpuUs),
      p50Ratio: ratio((result) => result.p50Us),
      throughputRatio: ratio((result) => result.requestsPerSecond),
    };
  });
}

export function summaryText(summaries: readonly Summary[]): string {
  const header = ['path', 'req/s', 'p50 ms', 'p90 ms', 'p99 ms', 'CPU µs', 'backend µs'];
  const rows = summaries.map((one) => [
    one.path,
    figure(one.requestsPerSecond),
    ...[one.p50Us, one.p90Us, one.p99Us].map((us) => figure(us / 1000)),
    figure(one.pathCpuUs),
    figure(one.backendCpuUs),
    `${figure(one.cpuRatio)}×`,
    `${figure(one.p50Ratio)}×`,
    `${figure(one.throughputRatio)}×`,
    Object.entries(one.cpuUs)
      .map(([name, us]) => `${name} ${figure(us)}`)
      .join(', '),
  ]);
  return tableText([...header, 'CPU/nginx', 'p50/nginx', 'req/s/nginx', 'CPU µs by process'], rows);
}
