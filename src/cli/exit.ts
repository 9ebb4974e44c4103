import { ConfigError, faultLine } from '../protocol/config-fault.ts';
import { ApiRefusal } from './api-refusal.ts';
import { printable } from './printable.ts';

/** Of what is wrong in files, which may be anything: as much as a person reads. */
const FAULTS_SHOWN_MAX = 100;
const FAULT_CHARACTERS_MAX = 600;

/** What the weft command returns to the shell; scripts rely on them. */
export const EXIT = Object.freeze({ done: 0, refused: 1, usage: 2, unreachable: 3 });

/** A command was called in a way that cannot work; the message says what to do instead. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** A command cannot reach the mesh: NATS, or a controller. */
export class UnreachableError extends Error {
  readonly what: string;
  /** What to do. */
  readonly advice: string;

  constructor(what: string, advice: string, options?: ErrorOptions) {
    super(`${what}: ${advice}`, options);
    this.name = 'UnreachableError';
    this.what = what;
    this.advice = advice;
  }
}

/** The text for stderr and the exit code of an error that ended a command. */
export function exitOf(error: unknown): { readonly text: string; readonly code: number } {
  if (error instanceof ConfigError) return { text: faultsText(error), code: EXIT.usage };
  if (error instanceof UsageError) return { text: `weft: ${error.message}`, code: EXIT.usage };
  if (error instanceof UnreachableError) return { text: `weft: ${error.message}`, code: EXIT.unreachable };
  if (error instanceof ApiRefusal) return { text: `weft: ${error.message}`, code: EXIT[error.exit] };
  return { text: `weft: ${error instanceof Error ? error.message : String(error)}`, code: EXIT.refused };
}

function faultsText({ faults }: ConfigError): string {
  const lines = faults.slice(0, FAULTS_SHOWN_MAX).map((fault) => {
    const line = printable(faultLine(fault));
    return line.length > FAULT_CHARACTERS_MAX ? `${line.slice(0, FAULT_CHARACTERS_MAX)}…` : line;
  });
  const more = faults.length - lines.length;
  if (more > 0) lines.push(`weft: and ${more} more faults`);
  return lines.join('\n');
}
