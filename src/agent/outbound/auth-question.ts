/** What an authorization service is asked about a request, and what is said where it does not decide. */
import { WeftError } from '../../protocol/errors.ts';
import type { Fields } from '../../protocol/fields.ts';
import type { WireRequestHead } from '../../protocol/head.ts';
import { authFields } from '../../protocol/routes/external-auth.ts';
import type { AuthPlan } from '../../protocol/routes/plan.ts';
import { ruleName } from '../../protocol/snapshot.ts';

/** The head of the question. `received`: lines of the request as they came; `bytes`: of its body that are shown. */
export function questionHead(
  { auth, target }: AuthPlan,
  asked: Pick<WireRequestHead, 'method' | 'caller' | 'deadlineMs'>,
  received: Fields,
  bytes: number,
): WireRequestHead {
  const { method, caller, deadlineMs } = asked;
  const fields = authFields(auth, received, bytes);
  return { method, target, service: auth.service, caller, deadlineMs, fields };
}

/** @throws WeftError `body_too_large` if a body of so many bytes is not shown, and so cannot be agreed to */
export function checkShownBody({ auth, rule }: AuthPlan, bytes: number): void {
  const { service, bodyBytesMax } = auth;
  if (bodyBytesMax === 0 || bytes <= bodyBytesMax) return;
  const over = `the body is over the ${bodyBytesMax} bytes that ${service} is shown before it agrees`;
  throw new WeftError('body_too_large', `${ruleName(rule)}: ${over}`);
}

/** What ends a question without a decision ends the request: it fails closed. */
export function undecided({ auth, rule }: AuthPlan, { code, message }: WeftError): WeftError {
  const where = `${ruleName(rule)}: ExternalAuth ${auth.service}`;
  return new WeftError('auth_unavailable', `${where}: ${code}: ${message}`);
}
