import type { Resource } from './resource.ts';

/** Of a TrafficPolicy as the schema lets it pass, what has an effect. */
export interface TrafficPolicySpec {
  readonly evidence?: 'signed' | 'none';
}

export type TrafficPolicy = Resource & { readonly kind: 'TrafficPolicy' };

export function isTrafficPolicy(resource: Resource): resource is TrafficPolicy {
  return resource.kind === 'TrafficPolicy';
}

export function trafficSpec(resource: TrafficPolicy): TrafficPolicySpec {
  return resource.spec;
}

/** What such a policy asks for that has no effect yet, by the names of its fields. */
export function withoutEffect({ spec }: TrafficPolicy): string[] {
  return Object.keys(spec).filter((field) => field !== 'targetRef' && field !== 'evidence');
}
