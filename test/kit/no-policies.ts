import type { Authorization } from '../../src/agent/authorization.ts';

/** Of a proxy that a test takes by itself: everybody may do everything. */
export const NO_POLICIES: Authorization = Object.freeze({
  refuseEarly() {},
  authorize: (_service: string, _snapshot: unknown, { target }: { readonly target: string }) => target,
});
