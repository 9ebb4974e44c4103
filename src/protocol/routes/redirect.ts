import { isAuthority } from '../authority.ts';
import type { Redirect } from '../snapshot.ts';
import { modifyPath } from './path-modifier.ts';

/** What a redirect starts from. */
export interface Redirected {
  readonly scheme: string;
  /** Of the authority, without port. */
  readonly host: string;
  /** Of the service, as the request addresses it. */
  readonly port: number;
  readonly path: string;
  /** Without its question mark; empty if there is none. */
  readonly query: string;
}

const WELL_KNOWN: ReadonlyMap<string, number> = new Map([
  ['http', 80],
  ['https', 443],
]);

/**
 * The Location of a redirect (HTTPROUTE.md A4). Port: the filter's; else, if it names a scheme, that of the scheme;
 * else the service's. It is left out where the scheme implies it. The query stays.
 */
export function redirectLocation(redirect: Redirect, from: Redirected): string {
  const scheme =
    redirect.scheme !== undefined && WELL_KNOWN.has(redirect.scheme) ? redirect.scheme : from.scheme;
  const host =
    redirect.hostname !== undefined && isAuthority(redirect.hostname) ? redirect.hostname : from.host;
  const implied = WELL_KNOWN.get(scheme);
  const port = redirect.port ?? (redirect.scheme === undefined ? from.port : implied);
  const authority = port === undefined || port === implied ? host : `${host}:${port}`;
  const path = redirect.path === undefined ? from.path : modifyPath(from.path, redirect.path);
  // The target `*` of OPTIONS is no path.
  const rooted = path.startsWith('/') ? path : '/';
  return `${scheme}://${authority}${rooted}${from.query === '' ? '' : `?${from.query}`}`;
}
