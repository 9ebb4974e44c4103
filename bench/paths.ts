import type { Processes } from './processes.ts';
import { startHaproxyPair, startNginxPair } from './proxy-pairs.ts';
import { publishThousandRoutes } from './thousand-routes.ts';
import { startWeftPair } from './weft-pair.ts';

export const PATH_NAMES = ['direct', 'nginx', 'haproxy', 'weft', 'weft-routes'] as const;
export type PathName = (typeof PATH_NAMES)[number];

/** One way from the load generator to the backend. */
export interface Path {
  readonly name: PathName;
  /** Where the generator connects, always on 127.0.0.1. */
  readonly port: number;
  /** Every process between generator and backend, by name. */
  readonly pids: Readonly<Record<string, number>>;
}

/** Starts the proxies of a path; resolves when they take requests. */
export async function startPath(name: PathName, processes: Processes, backendPort: number): Promise<Path> {
  switch (name) {
    case 'direct':
      return { name, port: backendPort, pids: {} };
    case 'nginx':
      return { name, ...(await startNginxPair(processes, backendPort)) };
    case 'haproxy':
      return { name, ...(await startHaproxyPair(processes, backendPort)) };
    case 'weft': {
      const pair = await startWeftPair(processes, { orders: backendPort });
      return { name, port: pair.port, pids: pair.pids };
    }
    case 'weft-routes': {
      const pair = await startWeftPair(processes, { orders: backendPort }, undefined, publishThousandRoutes);
      return { name, port: pair.port, pids: pair.pids };
    }
  }
}
