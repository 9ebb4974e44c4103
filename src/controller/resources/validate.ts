/**
 * The first step of taking a resource: is it well formed? By its schema, then by the rules that a schema cannot say.
 * Pure, and it never throws, whatever the value is.
 */
import type { ValidateFunction } from 'ajv';
import { type FieldPath, shownValue } from '../../protocol/config-fault.ts';
import { DEFAULT_NAMESPACE } from '../../protocol/names.ts';
import { nearestWord } from '../../protocol/nearest-word.ts';
import { schemaFaults } from '../../protocol/schema-faults.ts';
import { valueAt } from '../../protocol/yaml-document.ts';
import { checkAuthorizationPolicy, isAuthorizationPolicy, policySpec } from './authorization-policy.ts';
import type { HttpRouteSpec } from './http-route.ts';
import { KINDS, type Kind, type Metadata, type Resource } from './resource.ts';
import { checkRoute } from './route-rules.ts';
import { loadResourceSchemas } from './schema.ts';
import { checkService, type ServiceSpec } from './service.ts';

/** One thing that is wrong in a resource, wherever it came from. */
export interface FieldFault {
  readonly path: FieldPath;
  readonly found: string;
  readonly expected: string;
}

export interface Validation {
  /** Only if there are no faults. */
  readonly resource?: Resource;
  readonly faults: readonly FieldFault[];
}

/** Says that something is wrong at a path; what stands there is shown unless `found` says it better. */
export type Refuse = (path: FieldPath, expected: string, found?: string) => void;

const FAULTS_MAX = 100;
const DEPTH_MAX = 64;

let schemaOf: ((kind: Kind) => ValidateFunction) | undefined;

/**
 * The resource with its namespace filled in and without what only a controller says (status, revision, …); its spec
 * stays as it was written. Otherwise everything that is wrong with it, at most 100 things.
 */
export function validateResource(value: unknown): Validation {
  const faults: FieldFault[] = [];
  const refuse: Refuse = (path, expected, found) => {
    if (faults.length >= FAULTS_MAX) return;
    faults.push({ path, found: found ?? shownValue(valueAt(value, path)), expected });
  };
  if (tooDeep(value, DEPTH_MAX)) {
    refuse([], `plain nesting of at most ${DEPTH_MAX} levels`, 'a deeper one');
    return { faults };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse([], 'a resource: a mapping with apiVersion, kind, metadata and spec');
    return { faults };
  }
  const kind = kindOfValue(value as Record<string, unknown>, refuse);
  if (kind === undefined) return { faults };
  schemaOf ??= loadResourceSchemas();
  const validate = schemaOf(kind);
  if (!validate(value)) {
    const make = (path: FieldPath, expected: string, found?: string) => ({
      path,
      expected,
      found: found ?? shownValue(valueAt(value, path)),
    });
    return { faults: schemaFaults((validate.errors ?? []).slice(0, FAULTS_MAX), make) };
  }
  const resource = normalised(value as Resource, kind);
  if (kind.kind === 'HTTPRoute') checkRoute(resource.spec as HttpRouteSpec, resource.metadata, refuse);
  if (kind.kind === 'Service') checkService(resource.spec as ServiceSpec, refuse);
  if (isAuthorizationPolicy(resource)) checkAuthorizationPolicy(policySpec(resource), refuse);
  return faults.length > 0 ? { faults } : { resource, faults };
}

/** HTTPROUTE.md A11. That it looks like HTTPRoute would else make it look like a slip. */
const INSTEAD_OF_GRPC_ROUTE =
  'HTTPRoute: Weft carries HTTP/1.1 only, and gRPC needs HTTP/2; have gRPC clients call their servers directly, past the doors, or serve it over HTTP/1.1 too (gRPC-Web, Connect) and route that by an HTTPRoute with path /package.Service/Method';

function kindOfValue(value: Record<string, unknown>, refuse: Refuse): Kind | undefined {
  const names = KINDS.map(({ kind }) => kind);
  const found = KINDS.find(({ kind }) => kind === value.kind);
  if (found !== undefined) return found;
  if (value.kind === 'GRPCRoute') {
    refuse(['kind'], INSTEAD_OF_GRPC_ROUTE);
    return undefined;
  }
  const meant = typeof value.kind === 'string' ? nearestWord(value.kind, names) : undefined;
  refuse(['kind'], meant === undefined ? `one of ${names.join(', ')}` : `${meant} (is that what was meant?)`);
  return undefined;
}

function normalised(value: Resource, { apiVersion, kind }: Kind): Resource {
  const { name, namespace, labels, annotations, creationTimestamp } = value.metadata;
  const metadata: Metadata = {
    name,
    namespace: namespace ?? DEFAULT_NAMESPACE,
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
    // `null` is how Kubernetes' own tools write that there is none.
    ...((creationTimestamp ?? null) === null ? {} : { creationTimestamp: creationTimestamp! }),
  };
  return { apiVersion, kind, metadata, spec: value.spec ?? {} };
}

function tooDeep(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((part) => tooDeep(part, levels - 1));
}
