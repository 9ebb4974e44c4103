import type { Fields } from './fields.ts';
import { isForgedForwarding, isReservedField } from './reserved-field.ts';

/**
 * Fields that may not stand in trailers: they frame, route, authenticate or govern the message, and a
 * recipient that merges trailers into the head would act on them too late (RFC 9110 §6.5.1).
 */
const FORBIDDEN: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'content-length', 'te', 'trailer'],
  ...['upgrade', 'host', 'forwarded', 'via', 'expect', 'max-forwards', 'cache-control', 'pragma', 'range'],
  ...['authorization', 'proxy-authorization', 'proxy-authenticate', 'proxy-authentication-info'],
  ...['www-authenticate', 'authentication-info', 'cookie', 'set-cookie', 'content-encoding', 'content-type'],
  ...['content-range', 'age', 'date', 'expires', 'location', 'retry-after', 'vary', 'proxy-status'],
  ...['traceparent', 'tracestate', 'baggage'],
]);

/** The trailer lines that may travel on; undefined if none is left. The rest is dropped, as the RFC allows. */
export function permittedTrailers(fields: Fields): Fields | undefined {
  const kept: Fields = [];
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    if (FORBIDDEN.has(name) || name.startsWith('if-') || name.startsWith('x-forwarded-')) continue;
    if (isReservedField(name) || isForgedForwarding(name)) continue;
    kept.push(name, fields[at + 1]!);
  }
  return kept.length === 0 ? undefined : kept;
}
