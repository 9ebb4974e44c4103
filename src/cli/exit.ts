import { ConfigError } from '../protocol/config-fault.ts';

/** What the weft command returns to the shell; scripts rely on them. */
export const EXIT = Object.freeze({ done: 0, refused: 1, usage: 2, unreachable: 3 });

/** A command was called in a way that cannot work; the message says what to do instead. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** The text for stderr and the exit code of an error that ended a command. */
export function exitOf(error: unknown): { readonly text: string; readonly code: number } {
  if (error instanceof ConfigError) return { text: error.message, code: EXIT.usage };
  if (error instanceof UsageError) return { text: `weft: ${error.message}`, code: EXIT.usage };
  return { text: `weft: ${error instanceof Error ? error.message : String(error)}`, code: EXIT.refused };
}
