/**
 * The second step of taking resources: do they go together, among themselves and with what is stored? What may come
 * later, like a service that nobody serves yet, is a warning; what contradicts something is a fault.
 */
import type { FieldPath } from '../../protocol/config-fault.ts';
import { nearestWord } from '../../protocol/nearest-word.ts';
import { isAuthorizationPolicy, policyTarget } from './authorization-policy.ts';
import { checkAuthorizationReferences } from './authorization-references.ts';
import { brokenRoutes } from './dependent-routes.ts';
import { isHttpRoute } from './http-route.ts';
import { checkNames } from './name-references.ts';
import { type Resource, resourceKey } from './resource.ts';
import { checkRouteReferences } from './route-references.ts';
import { type ServiceSpec, serviceName } from './service.ts';
import { checkSessions } from './session-references.ts';
import type { FieldFault } from './validate.ts';

export interface ReferenceFault extends FieldFault {
  readonly resource: Resource;
}

export interface ReferenceWarning {
  readonly resource: Resource;
  readonly path: FieldPath;
  readonly message: string;
}

export interface ReferenceCheck {
  readonly faults: readonly ReferenceFault[];
  readonly warnings: readonly ReferenceWarning[];
}

/** What a check of one resource sees, and whom it tells. */
export interface ReferenceContext {
  serviceSpec(service: string): ServiceSpec | undefined;
  readonly knownServices: ReadonlySet<string>;
  /** ` (is orders.default meant?)`, or nothing. */
  meant(service: string): string;
  refuse(path: FieldPath, expected: string, found: string): void;
  warn(path: FieldPath, message: string): void;
}

/** Looking for what was meant compares with every service there is. */
const GUESSES_MAX = 20;

/**
 * @param changed what is to be stored, each of them validated
 * @param all what is stored now, by `resourceKey`; of what is changed the new state counts
 * @param knownServices canonical names of the services that agents have announced
 * @param mesh whose principals there are
 */
export function checkReferences(
  changed: readonly Resource[],
  all: ReadonlyMap<string, Resource>,
  knownServices: ReadonlySet<string>,
  mesh?: string,
): ReferenceCheck {
  const faults: ReferenceFault[] = [];
  const warnings: ReferenceWarning[] = [];
  const after = new Map(all);
  for (const resource of changed) after.set(resourceKey(resource), resource);
  const services = new Map<string, ServiceSpec>();
  for (const resource of after.values()) {
    if (resource.kind === 'Service') services.set(serviceName(resource), resource.spec);
  }
  const known = new Set([...knownServices, ...services.keys()]);
  let guesses = 0;
  const meant = (service: string) => {
    const nearest = ++guesses > GUESSES_MAX ? undefined : nearestWord(service, [...known]);
    return nearest === undefined ? '' : ` (is ${nearest} meant?)`;
  };

  const seen = new Set<string>();
  for (const resource of changed) {
    const context: ReferenceContext = {
      serviceSpec: (service) => services.get(service),
      knownServices: known,
      meant,
      refuse: (path, expected, found) => faults.push({ resource, path, expected, found }),
      warn: (path, message) => warnings.push({ resource, path, message }),
    };
    const key = resourceKey(resource);
    if (seen.has(key)) context.refuse(['metadata', 'name'], 'each resource once', `${key} again`);
    seen.add(key);
    if (isHttpRoute(resource)) checkRouteReferences(resource, context);
    else if (resource.kind !== 'Service') checkTarget(resource, after, context);
    if (isAuthorizationPolicy(resource))
      checkAuthorizationReferences(resource, after.values(), mesh, context);
  }
  checkSessions(changed, after.values(), (resource, path, expected, found) =>
    faults.push({ resource, path, expected, found }),
  );
  faults.push(...checkNames(changed, after, known));
  warnings.push(...brokenRoutes(changed, all, after, known));
  return { faults, warnings };
}

/** A policy of ours: its target, and whether another one of its kind has the same. */
function checkTarget(
  resource: Resource,
  after: ReadonlyMap<string, Resource>,
  { knownServices, meant, warn }: ReferenceContext,
): void {
  const target = policyTarget(resource);
  if (target === undefined) return;
  const path = ['spec', 'targetRef', 'name'];
  if (!knownServices.has(target)) warn(path, `service ${target} is not known yet${meant(target)}`);
  if (resource.kind !== 'TrafficPolicy') return;
  for (const other of after.values()) {
    if (other.kind !== resource.kind || resourceKey(other) === resourceKey(resource)) continue;
    if (policyTarget(other) === target) {
      warn(
        path,
        `${other.metadata.namespace}/${other.metadata.name} has the same target; the older one holds`,
      );
    }
  }
}
