/** What people write about a mesh: resources, told apart by kind, namespace and name. */
import { isLabel } from '../../protocol/names.ts';

export interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Metadata;
  /** As its author wrote it: defaults are added where it is compiled, never here. */
  readonly spec: Readonly<Record<string, unknown>>;
}

export interface Metadata {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** RFC 3339. Of the first revision, unless the author has given one. */
  readonly creationTimestamp?: string;
}

export interface Kind {
  readonly kind: string;
  readonly plural: string;
  readonly short: readonly string[];
  readonly apiVersion: string;
  /** Of `schemas/`, without its extension. It is also how keys name the kind. */
  readonly schema: string;
}

const GATEWAY_API = 'gateway.networking.k8s.io/v1';
const WEFT_API = 'weft.dev/v1';

const kind = (name: string, plural: string, short: readonly string[], apiVersion: string): Kind =>
  Object.freeze({ kind: name, plural, short, apiVersion, schema: name.toLowerCase() });

/** Every kind that the controller takes. */
export const KINDS: readonly Kind[] = Object.freeze([
  kind('HTTPRoute', 'httproutes', ['route', 'routes', 'hr'], GATEWAY_API),
  kind('Service', 'services', ['svc'], WEFT_API),
  kind('TrafficPolicy', 'trafficpolicies', ['tp'], WEFT_API),
  kind('AuthorizationPolicy', 'authorizationpolicies', ['authz', 'ap'], WEFT_API),
  kind('RateLimit', 'ratelimits', ['rl'], WEFT_API),
]);

/** What tells a resource from all others. */
export interface ResourceId {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** `httproute.shop.orders`: fit for a KV key. The name comes last, because it alone may hold dots. */
export function keyOf({ kind, namespace, name }: ResourceId): string {
  return `${kind.toLowerCase()}.${namespace}.${name}`;
}

export function resourceKey({ kind, metadata }: Resource): string {
  return keyOf({ kind, namespace: metadata.namespace, name: metadata.name });
}

/** What a key of `resourceKey` names; undefined for any other text. */
export function parseResourceKey(key: string): ResourceId | undefined {
  const [word = '', namespace = '', ...rest] = key.split('.');
  const found = KINDS.find(({ schema }) => schema === word);
  const name = rest.join('.');
  return found !== undefined && isLabel(namespace) && isSubdomain(name)
    ? { kind: found.kind, namespace, name }
    : undefined;
}

/** The kind that a person means by `httproute`, `HTTPRoutes` or `hr`. */
export function kindOf(word: string): Kind | undefined {
  const lower = word.toLowerCase();
  return KINDS.find(
    ({ schema, plural, short }) => schema === lower || plural === lower || short.includes(lower),
  );
}

/**
 * The resource that a person means by `httproute/orders` (one word) or `httproute orders` (two), in a namespace;
 * undefined if the kind is not known or the name is none.
 */
export function parseResourceRef(words: readonly string[], namespace: string): ResourceId | undefined {
  const slash = words[0]?.indexOf('/') ?? -1;
  const [word, name, extra] =
    words.length === 1 && slash > 0 ? [words[0]!.slice(0, slash), words[0]!.slice(slash + 1)] : words;
  const found = kindOf(word ?? '');
  if (found === undefined || name === undefined || extra !== undefined) return undefined;
  if (!isSubdomain(name) || !isLabel(namespace)) return undefined;
  return { kind: found.kind, namespace, name };
}

/** DNS labels joined by dots (RFC 1123 §2.1), at most 253 characters. */
function isSubdomain(text: string): boolean {
  return text.length <= 253 && text.split('.').every(isLabel);
}
