import { withoutSlash } from '../../protocol/routes/path-modifier.ts';
import type {
  Cors,
  ExternalAuth,
  Filter,
  HeaderModifier,
  PathModifier,
  Redirect,
  Rewrite,
} from '../../protocol/snapshot.ts';
import {
  matchesOf,
  type RawFilter,
  type RawHeaderModifier,
  type RawPathModifier,
  type RawRule,
} from '../resources/http-route.ts';
import type { Metadata } from '../resources/resource.ts';
import { checkBackend, type Known } from './backend-check.ts';

/** Filters with their defaults (HTTPROUTE.md A1). A mirror that leads nowhere is dropped (A4); status says so. */
export function compileFilters(
  filters: readonly RawFilter[] | undefined,
  rule: RawRule,
  metadata: Metadata,
  known: Known,
): Filter[] {
  const compiled = (filters ?? []).map((filter) => compileFilter(filter, rule, metadata, known));
  return compiled.filter((filter) => filter !== undefined);
}

function compileFilter(raw: RawFilter, rule: RawRule, metadata: Metadata, known: Known): Filter | undefined {
  switch (raw.type) {
    case 'RequestHeaderModifier':
      return { type: raw.type, modifier: headerModifier(raw.requestHeaderModifier!) };
    case 'ResponseHeaderModifier':
      return { type: raw.type, modifier: headerModifier(raw.responseHeaderModifier!) };
    case 'RequestRedirect':
      return { type: raw.type, redirect: redirect(raw.requestRedirect!, rule) };
    case 'URLRewrite':
      return { type: raw.type, rewrite: rewrite(raw.urlRewrite!, rule) };
    case 'RequestMirror': {
      const { service, invalid } = checkBackend(raw.requestMirror!.backendRef, metadata, known);
      if (invalid !== undefined) return undefined;
      return { type: raw.type, mirror: { service, fraction: mirrorFraction(raw.requestMirror!) } };
    }
    case 'CORS':
      return { type: raw.type, cors: cors(raw.cors!) };
    case 'ExternalAuth':
      if (unsupportedFilter(raw) !== undefined) break;
      return { type: raw.type, auth: externalAuth(raw.externalAuth!, metadata, known) };
    default:
      break;
  }
  return { type: 'Unsupported', what: unsupportedFilter(raw)! };
}

/** What a filter asks for that nobody here can do, in words; undefined if it can be done. */
export function unsupportedFilter({ type, extensionRef, externalAuth }: RawFilter): string | undefined {
  if (type === 'ExternalAuth' && externalAuth?.protocol === 'GRPC') return 'ExternalAuth with protocol GRPC';
  if (type !== 'ExtensionRef') return undefined;
  const { group, kind, name } = extensionRef!;
  return `ExtensionRef ${group === '' ? '' : `${group}/`}${kind} ${name}`;
}

function headerModifier({ set = [], add = [], remove = [] }: RawHeaderModifier): HeaderModifier {
  return {
    set: set.map(({ name, value }) => [name.toLowerCase(), value] as const),
    add: add.map(({ name, value }) => [name.toLowerCase(), value] as const),
    remove: remove.map((name) => name.toLowerCase()),
  };
}

function redirect(raw: NonNullable<RawFilter['requestRedirect']>, rule: RawRule): Redirect {
  return {
    ...(raw.scheme === undefined ? {} : { scheme: raw.scheme }),
    ...(raw.hostname === undefined ? {} : { hostname: raw.hostname }),
    ...(raw.port === undefined ? {} : { port: raw.port }),
    ...(raw.path === undefined ? {} : { path: pathModifier(raw.path, rule) }),
    status: raw.statusCode ?? 302,
  };
}

function rewrite(raw: NonNullable<RawFilter['urlRewrite']>, rule: RawRule): Rewrite {
  return {
    ...(raw.hostname === undefined ? {} : { hostname: raw.hostname }),
    ...(raw.path === undefined ? {} : { path: pathModifier(raw.path, rule) }),
  };
}

function pathModifier(raw: RawPathModifier, rule: RawRule): PathModifier {
  if (raw.type === 'ReplaceFullPath') return { type: raw.type, value: raw.replaceFullPath! };
  return { type: raw.type, prefix: matchesOf(rule)[0]?.path?.value ?? '/', value: raw.replacePrefixMatch! };
}

function mirrorFraction({ percent, fraction }: NonNullable<RawFilter['requestMirror']>): number {
  if (fraction !== undefined) return fraction.numerator / (fraction.denominator ?? 100);
  return (percent ?? 100) / 100;
}

/** One that leads nowhere is kept, so that its requests fail: what is to be authorized never goes on without. */
function externalAuth(
  { backendRef, http = {}, forwardBody = {} }: NonNullable<RawFilter['externalAuth']>,
  metadata: Metadata,
  known: Known,
): ExternalAuth {
  const { service, invalid } = checkBackend(backendRef, metadata, known);
  const path = withoutSlash(http.path ?? '').replace(/^\/*/, '/');
  return {
    service,
    path: path === '/' ? '' : path,
    requestHeaders: (http.allowedHeaders ?? []).map((name) => name.toLowerCase()),
    responseHeaders: (http.allowedResponseHeaders ?? []).map((name) => name.toLowerCase()),
    bodyBytesMax: forwardBody.maxSize ?? 0,
    ...(invalid === undefined ? {} : { invalid: invalid.reason }),
  };
}

function cors(raw: NonNullable<RawFilter['cors']>): Cors {
  return {
    origins: raw.allowOrigins ?? [],
    credentials: raw.allowCredentials ?? false,
    methods: raw.allowMethods ?? [],
    headers: raw.allowHeaders ?? [],
    expose: raw.exposeHeaders ?? [],
    maxAgeSeconds: raw.maxAge ?? 5,
  };
}
