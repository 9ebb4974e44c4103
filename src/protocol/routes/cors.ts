/**
 * CORS, answered by the mesh (HTTPROUTE.md A4; the protocol is that of the Fetch standard). A request of an origin that
 * is not allowed goes on to the application; it is the browser that withholds the response from the script.
 */
import { type Fields, fieldValue } from '../fields.ts';
import type { Cors } from '../snapshot.ts';
import { isAllowedOrigin } from './origin.ts';

export interface CorsAnswer {
  /** The whole answer, if the request is a preflight. */
  readonly preflight?: { readonly status: number; readonly fields: Fields };
  /** Else what the application's response has to say, for `applyCors`. */
  readonly fields: Fields;
}

const PREFIX = 'access-control-';

/** What CORS has to say to a request with these `fields`. */
export function corsAnswer(cors: Cors, fields: Fields, method: string): CorsAnswer {
  const origin = fieldValue(fields, 'origin');
  const said = spoken(cors, origin);
  const asked = fieldValue(fields, `${PREFIX}request-method`);
  if (method !== 'OPTIONS' || origin === undefined || asked === undefined) return { fields: said };
  if (fieldValue(said, `${PREFIX}allow-origin`) !== undefined) {
    const askedHeaders = fieldValue(fields, `${PREFIX}request-headers`);
    list(said, 'allow-methods', cors.methods, cors.credentials ? asked : '*');
    list(said, 'allow-headers', cors.headers, cors.credentials ? askedHeaders : '*');
    said.push(`${PREFIX}max-age`, String(cors.maxAgeSeconds));
  }
  return { preflight: { status: 204, fields: said }, fields: said };
}

/** The response's lines with what CORS says in place of whatever the application says about it. */
export function applyCors(fields: Fields, said: Fields): Fields {
  const applied: Fields = [];
  let varies = false;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!;
    const value = fields[at + 1]!;
    if (name.startsWith(PREFIX)) continue;
    if (name === 'vary' && /(?:^|[\s,])(?:origin|\*)(?:[\s,]|$)/i.test(value)) varies = true;
    applied.push(name, value);
  }
  for (let at = 0; at < said.length; at += 2) {
    if (said[at] !== 'vary' || !varies) applied.push(said[at]!, said[at + 1]!);
  }
  return applied;
}

/** What any response says: who may read it, and that another origin would be told otherwise. */
function spoken(cors: Cors, origin: string | undefined): Fields {
  const anyone = cors.origins.includes('*') && !cors.credentials;
  const said: Fields = anyone ? [] : ['vary', 'Origin'];
  if (origin === undefined || !isAllowedOrigin(origin, cors.origins)) return said;
  said.push(`${PREFIX}allow-origin`, anyone ? '*' : origin);
  if (cors.credentials) said.push(`${PREFIX}allow-credentials`, 'true');
  list(said, 'expose-headers', cors.expose, cors.credentials ? undefined : '*');
  return said;
}

/** A list as configured; `*` in it is said as `all`, and not at all if that is undefined. */
function list(said: Fields, name: string, values: readonly string[], all: string | undefined): void {
  const text = values.includes('*') ? all : values.join(', ');
  if (text !== undefined && text !== '') said.push(PREFIX + name, text);
}
