/**
 * What an authorization service is asked, and what a request takes along from its consent (HTTPROUTE.md A4; the API's
 * HTTPAuthConfig). It fails closed: only status 200 is consent.
 */
import { type Fields, without } from '../fields.ts';
import type { ExternalAuth } from '../snapshot.ts';
import { mayChange } from './header-modifier.ts';

/** The target that is asked for: that of the request, with the filter's path before it. */
export function authTarget({ path }: ExternalAuth, target: string): string {
  return target.startsWith('/') || path === '' ? path + target : path;
}

/**
 * The lines of the question: Host, Authorization and those that the filter names, as the client sent them. Never one that
 * frames a message or names who calls. `bytes`: of the body that goes with it.
 */
export function authFields({ requestHeaders }: ExternalAuth, fields: Fields, bytes: number): Fields {
  const asked: Fields = [];
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    const wanted = name === 'authorization' || (requestHeaders.includes(name) && mayChange(name));
    if (wanted || name === 'host') asked.push(name, fields[at + 1]!);
  }
  asked.push('content-length', String(bytes));
  return asked;
}

/**
 * The request's lines with those of the consent in place of its own of the same names. Where the filter lets all through,
 * those that describe the body of the consent are left out: the request has a body of its own.
 */
export function grantedFields({ responseHeaders }: ExternalAuth, fields: Fields, consent: Fields): Fields {
  const taken: Fields = [];
  const names = new Set<string>();
  for (let at = 0; at < consent.length; at += 2) {
    const name = consent[at]!;
    const wanted =
      responseHeaders.length === 0 ? !name.startsWith('content-') : responseHeaders.includes(name);
    if (!wanted || !mayChange(name)) continue;
    names.add(name);
    taken.push(name, consent[at + 1]!);
  }
  return [...without(fields, (name) => names.has(name)), ...taken];
}
