/**
 * Refuses early what the agent that serves will refuse, as far as it is known here, with the functions by which that
 * decides. What is not known here goes on: its decision is the one that counts.
 */
import { WeftError } from '../../protocol/errors.ts';
import type { WireRequestHead } from '../../protocol/head.ts';
import { serviceParts } from '../../protocol/names.ts';
import type { Authorization } from '../authorization.ts';
import type { RouteBook } from './route-book.ts';

interface Known {
  readonly routes: RouteBook;
  readonly authorization: Authorization;
}

/** A request as it will get to `service`. */
type Outgoing = Pick<WireRequestHead, 'service' | 'caller' | 'method' | 'target' | 'fields'>;

/** By who may reach the service, and by its policies. @throws WeftError `denied`, `ambiguous_path` */
export function refuseEarly(known: Known, request: Outgoing): void {
  const { caller, service } = request;
  refuseUnexposed(known, service, caller === undefined ? undefined : serviceParts(caller).namespace);
  refuseByPolicy(known, request);
}

/** Callers of `namespace`, or of none, to whom the service is not exposed. @throws WeftError `denied` */
export function refuseUnexposed({ routes }: Known, service: string, namespace: string | undefined): void {
  const refusal = routes.refusal(service, namespace);
  if (refusal !== undefined) throw new WeftError('denied', refusal);
}

/** By the policies of the service. @throws WeftError `denied`, `ambiguous_path` */
export function refuseByPolicy({ routes, authorization }: Known, request: Outgoing): void {
  const snapshot = routes.snapshotOf(request.service);
  if (snapshot?.authorization !== undefined) {
    authorization.refuseEarly(request.service, snapshot, request);
  }
}
