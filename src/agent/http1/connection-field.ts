/** The Connection field: which lines of a head end at this hop (RFC 9110 §7.6.1). */
import { type ErrorCode, WeftError } from '../../protocol/errors.ts';
import { isToken, withoutBlanks } from '../../protocol/fields.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { isReservedField } from '../../protocol/reserved-field.ts';
import { isPassableUpgrade } from '../../protocol/upgrade.ts';

/**
 * What a Connection may not name. These fields frame, route, identify or trace the message, and no sender has
 * an honest reason to have them removed; attackers do ("hop-by-hop abuse": have the proxy delete what the
 * next hop relies on). Go deletes whatever is named, nginx and HAProxy nothing, Envoy refuses for x-forwarded-*.
 */
const PROTECTED: ReadonlySet<string> = new Set([
  ...['host', 'content-length', 'content-type', 'content-encoding', 'content-range', 'expect', 'range'],
  ...['authorization', 'www-authenticate', 'cookie', 'set-cookie', 'origin', 'cache-control', 'date', 'vary'],
  ...['location', 'forwarded', 'via', 'traceparent', 'tracestate', 'baggage', 'x-real-ip', 'x-request-id'],
]);

/** Tokens of all Connection lines joined by commas, lower-cased. Throws WeftError(`fault`). */
export function connectionTokens(value: string, fault: ErrorCode): string[] {
  const lower = value.toLowerCase();
  if (lower === 'keep-alive' || lower === 'close' || lower === 'upgrade') return [lower];
  const tokens: string[] = [];
  const parts = lower.split(',');
  if (parts.length > LIMITS.headerLinesMax) throw new WeftError(fault, 'Connection names too many fields');
  for (const part of parts) {
    const token = withoutBlanks(part, 0, part.length);
    if (token === '') continue; // Empty list elements are to be ignored: RFC 9110 §5.6.1.2.
    if (!isToken(token)) throw new WeftError(fault, 'Connection holds something that is not a token');
    if (PROTECTED.has(token) || token.startsWith('x-forwarded-') || isReservedField(token)) {
      throw new WeftError(fault, `Connection names ${token}, which is not a field of one hop`);
    }
    tokens.push(token);
  }
  return tokens;
}

/** The value of Upgrade if Connection lists it and it may be passed on. */
export function passableUpgrade(value: string | undefined, tokens: string[] | undefined): string | undefined {
  return value !== undefined && tokens?.includes('upgrade') && isPassableUpgrade(value) ? value : undefined;
}
