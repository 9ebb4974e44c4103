/** An HTTPRoute as the schema lets it pass: what may be left out is optional here, and defaults are not filled in. */
import type { Metadata, Resource } from './resource.ts';

export interface HttpRoute extends Resource {
  readonly spec: HttpRouteSpec & Readonly<Record<string, unknown>>;
}

export interface HttpRouteSpec {
  readonly parentRefs?: readonly ParentRef[];
  readonly hostnames?: readonly string[];
  readonly rules?: readonly RawRule[];
}

export interface ParentRef {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly sectionName?: string;
  readonly port?: number;
}

export interface RawRule {
  readonly name?: string;
  readonly matches?: readonly RawMatch[];
  readonly filters?: readonly RawFilter[];
  readonly backendRefs?: readonly RawBackendRef[];
  readonly timeouts?: { readonly request?: string; readonly backendRequest?: string };
  readonly retry?: {
    readonly codes?: readonly number[];
    readonly attempts?: number;
    readonly backoff?: string;
  };
  readonly sessionPersistence?: RawSession;
}

export interface RawSession {
  /** Of the cookie, unless that has one of its own. */
  readonly sessionName?: string;
  readonly absoluteTimeout?: string;
  readonly type?: 'Cookie' | 'Header';
  readonly cookie?: {
    readonly name?: string;
    readonly path?: string;
    readonly lifetimeType?: 'Permanent' | 'Session';
  };
  readonly header?: { readonly name: string };
}

export interface RawMatch {
  readonly path?: { readonly type?: string; readonly value?: string };
  readonly headers?: readonly RawValueMatch[];
  readonly queryParams?: readonly RawValueMatch[];
  readonly method?: string;
}

export interface RawValueMatch {
  readonly type?: 'Exact' | 'RegularExpression';
  readonly name: string;
  readonly value: string;
}

export interface BackendTarget {
  readonly group?: string;
  readonly kind?: string;
  readonly namespace?: string;
  readonly name: string;
  readonly port?: number;
}

export interface RawBackendRef extends BackendTarget {
  readonly weight?: number;
  readonly filters?: readonly RawFilter[];
}

export interface RawHeaderModifier {
  readonly set?: readonly { readonly name: string; readonly value: string }[];
  readonly add?: readonly { readonly name: string; readonly value: string }[];
  readonly remove?: readonly string[];
}

export interface RawPathModifier {
  readonly type: 'ReplaceFullPath' | 'ReplacePrefixMatch';
  readonly replaceFullPath?: string;
  readonly replacePrefixMatch?: string;
}

export interface RawFilter {
  readonly type: string;
  readonly requestHeaderModifier?: RawHeaderModifier;
  readonly responseHeaderModifier?: RawHeaderModifier;
  readonly requestMirror?: {
    readonly backendRef: BackendTarget;
    readonly percent?: number;
    readonly fraction?: { readonly numerator: number; readonly denominator?: number };
  };
  readonly requestRedirect?: {
    readonly scheme?: string;
    readonly hostname?: string;
    readonly path?: RawPathModifier;
    readonly port?: number;
    readonly statusCode?: number;
  };
  readonly urlRewrite?: { readonly hostname?: string; readonly path?: RawPathModifier };
  readonly cors?: {
    readonly allowOrigins?: readonly string[];
    readonly allowCredentials?: boolean;
    readonly allowMethods?: readonly string[];
    readonly allowHeaders?: readonly string[];
    readonly exposeHeaders?: readonly string[];
    readonly maxAge?: number;
  };
  readonly externalAuth?: {
    readonly protocol: 'HTTP' | 'GRPC';
    readonly backendRef: BackendTarget;
    readonly http?: {
      readonly path?: string;
      readonly allowedHeaders?: readonly string[];
      readonly allowedResponseHeaders?: readonly string[];
    };
    readonly forwardBody?: { readonly maxSize?: number };
  };
  readonly extensionRef?: { readonly group: string; readonly kind: string; readonly name: string };
}

/** A rule that is not written, and a match that is not: everything (HTTPROUTE.md A1). */
export const EVERYTHING: readonly [RawMatch] = [{}];

/** True for a resource that has passed `validateResource` and is an HTTPRoute. */
export function isHttpRoute(resource: Resource): resource is HttpRoute {
  return resource.kind === 'HTTPRoute';
}

/** The rules with the one that stands for none. */
export function rulesOf(route: HttpRoute): readonly RawRule[] {
  return route.spec.rules ?? [{}];
}

/** The matches of a rule, with the one that stands for none. */
export function matchesOf(rule: RawRule): readonly RawMatch[] {
  return rule.matches === undefined || rule.matches.length === 0 ? EVERYTHING : rule.matches;
}

/** The service that a parentRef names, `orders.shop`; undefined for parents that are no services of a mesh. */
export function parentService(
  { group, kind, namespace, name }: ParentRef,
  metadata: Metadata,
): string | undefined {
  return group === '' && kind === 'Service' ? `${name}.${namespace ?? metadata.namespace}` : undefined;
}

/** The service that a backendRef names; undefined for backends of other kinds. */
export function backendService(
  { group, kind, namespace, name }: BackendTarget,
  metadata: Metadata,
): string | undefined {
  const service = (group ?? '') === '' && (kind ?? 'Service') === 'Service';
  return service ? `${name}.${namespace ?? metadata.namespace}` : undefined;
}

/** Every backendRef of a rule: those that are drawn, those that are mirrored to and those that are asked first. */
export function* targetsOf(rule: RawRule): Generator<BackendTarget> {
  yield* targetsOfFilters(rule.filters);
  for (const backend of rule.backendRefs ?? []) {
    yield backend;
    yield* targetsOfFilters(backend.filters);
  }
}

function* targetsOfFilters(filters: readonly RawFilter[] = []): Generator<BackendTarget> {
  for (const { requestMirror, externalAuth } of filters) {
    if (requestMirror !== undefined) yield requestMirror.backendRef;
    if (externalAuth?.protocol === 'HTTP') yield externalAuth.backendRef;
  }
}
