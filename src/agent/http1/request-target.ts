/** The request target in its four forms (RFC 9112 §3.2). */
import { isAuthority } from '../../protocol/authority.ts';
import { WeftError } from '../../protocol/errors.ts';

export interface RequestTarget {
  /** What the target says beside Host: its authority in absolute and authority form. */
  authority: string | undefined;
  /** Origin form, for the next hop; `*` for OPTIONS; empty for CONNECT. */
  path: string;
}

/** `target` is not empty and holds visible ASCII only. Throws WeftError('bad_request'). */
export function parseTarget(method: string, target: string): RequestTarget {
  if (method === 'CONNECT') {
    if (!isAuthority(target) || !/:[0-9]+$/.test(target)) throw bad('CONNECT needs a target host:port');
    return { authority: target, path: '' };
  }
  if (target.charCodeAt(0) === 0x2f) return { authority: undefined, path: target };
  if (target === '*') {
    if (method !== 'OPTIONS') throw bad('the target * is for OPTIONS only');
    return { authority: undefined, path: '*' };
  }
  if (target.slice(0, 7).toLowerCase() !== 'http://') {
    throw bad('the target is neither a path nor an absolute http:// URI');
  }
  let end = 7;
  while (end < target.length && target[end] !== '/' && target[end] !== '?') end++;
  const authority = target.slice(7, end);
  if (!isAuthority(authority)) throw bad('the authority of the target is not host or host:port');
  const rest = target.slice(end);
  if (rest === '') return { authority, path: method === 'OPTIONS' ? '*' : '/' };
  return { authority, path: rest[0] === '?' ? `/${rest}` : rest };
}

const bad = (details: string): WeftError => new WeftError('bad_request', `request line: ${details}`);
