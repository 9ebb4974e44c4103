/** The TrafficPolicy of a service, as its snapshot carries it, and what is said of it. Pure. */
import { policyTarget } from '../resources/authorization-policy.ts';
import { resourceKey } from '../resources/resource.ts';
import { type TrafficPolicy, trafficSpec, withoutEffect } from '../resources/traffic-policy.ts';
import { type Applied, type Condition, type MakeCondition, programmed } from './condition.ts';
import { compareAge } from './precedence.ts';
import type { CompileIndex } from './resource-graph.ts';

/** The one that holds: of several with one target the oldest, and nothing of the others. */
function trafficPolicyOf(service: string, index: CompileIndex): TrafficPolicy | undefined {
  const [first] = index.trafficPoliciesOf(service).toSorted(compareAge);
  return first;
}

/** @returns `signed` if its packets have to be evidence */
export function compileEvidence(service: string, index: CompileIndex): 'signed' | undefined {
  const policy = trafficPolicyOf(service, index);
  return policy !== undefined && trafficSpec(policy).evidence === 'signed' ? 'signed' : undefined;
}

/** Whether it holds, and what of it. */
export function trafficConditions(
  policy: TrafficPolicy,
  index: CompileIndex,
  applied: Applied,
  make: MakeCondition,
): Condition[] {
  const holds = trafficPolicyOf(policyTarget(policy) ?? '', index);
  if (holds !== undefined && resourceKey(holds) !== resourceKey(policy)) {
    const { namespace, name } = holds.metadata;
    const message = `${namespace}/${name} has the same target and is older: it holds, and this one has no effect`;
    return [
      make('Conflicted', 'True', 'TargetTaken', message),
      make('Programmed', 'False', 'Conflicted', message),
    ];
  }
  const idle = withoutEffect(policy);
  const message = `${idle.join(', ') || 'TrafficPolicy'}: stored and checked, without effect yet`;
  if (trafficSpec(policy).evidence === undefined)
    return [make('Programmed', 'False', 'NotImplemented', message)];
  const partly = idle.length === 0 ? [] : [make('PartiallyInvalid', 'True', 'NotImplemented', message)];
  return [...partly, programmed(applied, make)];
}
