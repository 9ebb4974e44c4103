import { compileService } from '../../../src/controller/compile/compile-service.ts';
import { createCompileIndex } from '../../../src/controller/compile/resource-graph.ts';
import { readResources } from '../../../src/controller/resources/read-resources.ts';
import type { DefaultAction } from '../../../src/protocol/authorization/authorization.ts';
import { createAuthorizers } from '../../../src/protocol/authorization/authorizer.ts';
import type { Decision } from '../../../src/protocol/authorization/decision.ts';
import { type AuthorizedRequest, Subject } from '../../../src/protocol/authorization/subject.ts';
import { readSnapshot } from '../../../src/protocol/read-snapshot.ts';
import type { Snapshot } from '../../../src/protocol/snapshot.ts';

/** A policy about `orders.default`. `more`: of its metadata and spec. */
export function policy(
  name: string,
  action: 'ALLOW' | 'DENY' | 'AUDIT',
  rules: readonly object[] | string,
  targetRef: object = { kind: 'Service', name: 'orders' },
  namespace = 'default',
): string {
  return [
    'apiVersion: weft.dev/v1',
    'kind: AuthorizationPolicy',
    `metadata: { name: ${name}, namespace: ${namespace} }`,
    `spec: { targetRef: ${JSON.stringify(targetRef)}, action: ${action}, rules: ${typeof rules === 'string' ? rules : JSON.stringify(rules)} }`,
  ].join('\n');
}

export const MESH_TARGET = { kind: 'Mesh' };

/** The snapshot that agents hold of `orders.default`, with what is written, at revision 7. */
export function snapshotOf(
  policies: readonly string[],
  defaultAction: DefaultAction = 'allow',
  service = 'orders.default',
): Snapshot {
  const { resources, faults } = readResources(policies.join('\n---\n'), 'test.yaml');
  if (faults.length > 0) throw new Error(JSON.stringify(faults));
  const index = createCompileIndex(resources.map(({ resource }) => resource));
  const identity = { mesh: 'shop', epoch: 1, revision: 42 };
  const made = compileService(service, index, new Set(), identity, { defaultAction, revisionOf: () => 7 });
  const snapshot = readSnapshot('shop', JSON.parse(JSON.stringify(made)));
  if (snapshot === undefined) throw new Error('agents would not take it');
  return snapshot;
}

/** `GET /x` with these lines, of `checkout.default` unless another caller, or none, is named. */
export function request(
  line: string,
  lines: Record<string, string> = {},
  caller: string | null = 'checkout.default',
) {
  const [method = '', target = ''] = line.split(' ');
  const fields = Object.entries({ host: 'orders', ...lines }).flat();
  return { method, target, fields, caller: caller ?? undefined } satisfies AuthorizedRequest;
}

export function decide(snapshot: Snapshot, asked: AuthorizedRequest): Decision | undefined {
  return createAuthorizers('allow').of('orders.default', snapshot)?.decide(new Subject('shop', asked));
}

export function audits(snapshot: Snapshot, asked: AuthorizedRequest): readonly Decision[] {
  return createAuthorizers('allow').of('orders.default', snapshot)?.audits(new Subject('shop', asked)) ?? [];
}

/** `ALLOW default/name 0`. */
export function said(snapshot: Snapshot, asked: AuthorizedRequest): string {
  const decision = decide(snapshot, asked);
  return decision === undefined ? 'nothing' : `${decision.action} ${decision.policy} ${decision.rule}`;
}
