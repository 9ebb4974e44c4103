import { ConfigError } from '../../src/protocol/config-fault.ts';

/** The faults that a reader reports, as `line:column field`; empty if it reports none. */
export function places(read: () => unknown): string[] {
  return faultsOf(read).map(({ line, column, field }) => `${line}:${column} ${field}`);
}

export function faultsOf(read: () => unknown): ConfigError['faults'] {
  try {
    read();
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}
