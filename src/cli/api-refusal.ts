import type { ApiError, ApiFault } from '../protocol/api-call.ts';
import { printable } from './printable.ts';

/** The controller has answered, and refuses. */
export class ApiRefusal extends Error {
  readonly code: ApiError['code'];
  /** Of the resources that were sent. */
  readonly faults: readonly ApiFault[];

  constructor({ code, message, faults = [] }: ApiError) {
    super(`${printable(message)}`);
    this.name = 'ApiRefusal';
    this.code = code;
    this.faults = faults;
  }

  /** What it means for the shell. */
  get exit(): 'refused' | 'usage' | 'unreachable' {
    if (this.code === 'invalid') return 'usage';
    return this.code === 'not_leading' ? 'unreachable' : 'refused';
  }
}
