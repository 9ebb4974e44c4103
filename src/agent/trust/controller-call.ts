/** What an agent asks of the controller itself: `join` and `renew`. */
import type { ApiAnswer } from '../../protocol/api-call.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { apiSubject } from '../../protocol/subjects.ts';
import type { Bus } from '../link/bus.ts';

/** The controller has said no; asking again in the same way changes nothing. The message says why and what to do. */
export class RefusedByController extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RefusedByController';
  }
}

const REFUSALS: ReadonlySet<unknown> = new Set(['denied', 'invalid', 'conflict', 'not_found']);
const NO_RESPONDERS = /no ?responders/i;

/** @returns the text of the grant. @throws RefusedByController; any other error: nobody could answer now */
export async function askController(
  bus: Pick<Bus, 'request'>,
  mesh: string,
  verb: 'join' | 'renew',
  message: string,
): Promise<string> {
  const payload = Buffer.from(JSON.stringify({ message }));
  const reply = await bus.request(apiSubject(mesh, verb), payload, LIMITS.grantMs).catch((cause) => {
    throw new Error(unanswered(mesh, cause), { cause });
  });
  const answer = answerOf(reply.payload);
  if (answer?.ok === true && typeof answer.response?.grant === 'string') return answer.response.grant;
  if (answer?.ok !== false || typeof answer.error?.message !== 'string') {
    throw new Error('the answer is not one of a controller; are agent and controller of one release?');
  }
  const { code, message: why } = answer.error;
  if (REFUSALS.has(code)) throw new RefusedByController(why);
  throw new Error(`the controller cannot answer now: ${why}`);
}

function answerOf(payload: Uint8Array): ApiAnswer<{ readonly grant: string }> | undefined {
  try {
    return Object(JSON.parse(Buffer.from(payload).toString('utf8')));
  } catch {
    return undefined;
  }
}

function unanswered(mesh: string, cause: unknown): string {
  const why = cause instanceof Error ? `${cause.name} ${cause.message}` : String(cause);
  return NO_RESPONDERS.test(why)
    ? `no controller of the mesh ${mesh} answers on this NATS`
    : `the controller of the mesh ${mesh} did not answer (${why.trim()})`;
}
