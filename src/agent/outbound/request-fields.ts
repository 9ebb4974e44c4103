/** The header lines with which a request enters the mesh. */
import { WeftError } from '../../protocol/errors.ts';
import type { Fields } from '../../protocol/fields.ts';
import { isForgedForwarding, isReservedField } from '../../protocol/reserved-field.ts';
import { endToEndFields, type RequestHead } from '../http1/head.ts';

/**
 * End-to-end lines of `head`, without what only the mesh may say (`weft-*`, Envoy's identity header, and look-alikes), with
 * `x-forwarded-for/-proto/-host` and `via`. `passage` is this agent and the service that is asked: a request that
 * has gone through the same passage before would go through it for ever (RFC 9110 §7.6.3).
 * Throws WeftError('loop').
 */
export function requestFields(head: RequestHead, remoteAddress: string | undefined, passage: string): Fields {
  const received = endToEndFields(head);
  const fields: Fields = [];
  let forwardedFor: string | undefined;
  let proto = false;
  let host = false;
  let via: string | undefined;
  for (let at = 0; at < received.length; at += 2) {
    const name = received[at]!;
    const value = received[at + 1]!;
    switch (name.charCodeAt(0)) {
      case 0x77: // w
        if (isReservedField(name)) continue;
        break;
      case 0x78: // x
        if (isForgedForwarding(name)) continue;
        if (name === 'x-forwarded-for') {
          forwardedFor = forwardedFor === undefined ? value : `${forwardedFor}, ${value}`;
          continue;
        }
        if (name === 'x-forwarded-proto') proto = true;
        else if (name === 'x-forwarded-host') host = true;
        break;
      case 0x76: // v
        if (name === 'via') {
          if (value.includes(passage)) {
            throw new WeftError(
              'loop',
              `the request has passed ${passage} before; does an upstream point at a door?`,
            );
          }
          via = via === undefined ? value : `${via}, ${value}`;
          continue;
        }
        break;
    }
    fields.push(name, value);
  }
  const client = remoteAddress ?? 'unknown';
  fields.push('x-forwarded-for', forwardedFor === undefined ? client : `${forwardedFor}, ${client}`);
  if (!proto) fields.push('x-forwarded-proto', 'http');
  if (!host && head.host !== '') fields.push('x-forwarded-host', head.host);
  fields.push('via', via === undefined ? passage : `${via}, ${passage}`);
  return fields;
}
