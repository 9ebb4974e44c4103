import type { ApiError, ApiFault } from '../protocol/api-call.ts';

/** Why a call is refused, as its caller hears it. */
export class ControllerError extends Error {
  readonly code: ApiError['code'];
  readonly faults: readonly ApiFault[] | undefined;

  constructor(code: ApiError['code'], message: string, faults?: readonly ApiFault[], options?: ErrorOptions) {
    super(message, options);
    this.name = 'ControllerError';
    this.code = code;
    this.faults = faults;
  }
}
