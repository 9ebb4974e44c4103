/** The verbs, however they arrive: checks a call, has it carried out, and makes the answer. Never throws. */
import type { Verb } from '../../protocol/api.ts';
import { type ApiAnswer, type ApiError, CHANGING_VERBS } from '../../protocol/api-call.ts';
import { VERB_RIGHTS, type VerbRight } from '../../protocol/verb-rights.ts';
import { ControllerError } from '../controller-error.ts';
import type { ApiSchema } from './api-schema.ts';
import type { CallGuard } from './call-guard.ts';
import type { Caller, Handlers } from './handlers.ts';

export interface ApiOptions {
  readonly schema: ApiSchema;
  readonly guard: CallGuard;
  readonly handlers: Handlers;
  /** `result`: `ok`, or the code of the error. */
  readonly called: (verb: Verb, result: string) => void;
  /** What nobody has foreseen. */
  readonly fault: (verb: Verb, error: unknown) => void;
}

export interface Api {
  readonly schema: ApiSchema;
  /**
   * @param text a signed call; of verbs that prove themselves, and over loopback of those that change nothing, JSON, where
   *   nothing is an empty request
   */
  answer(verb: Verb, text: string, over: 'bus' | 'loopback'): Promise<ApiAnswer<unknown>>;
}

/** What they send proves by itself who they are. */
const PROVEN: ReadonlySet<VerbRight> = new Set(['host', 'agent']);
const NOBODY: Caller = Object.freeze({ author: '', role: 'viewer', nonce: '' });

export function createApi({ schema, guard, handlers, called, fault }: ApiOptions): Api {
  const carryOut = async (verb: Verb, text: string, over: 'bus' | 'loopback'): Promise<unknown> => {
    const isOpen = PROVEN.has(VERB_RIGHTS[verb]) || (over === 'loopback' && !CHANGING_VERBS.has(verb));
    const { request, caller } = isOpen
      ? { request: readJson(text), caller: NOBODY }
      : await guard.open(verb, text);
    schema.check(verb, request);
    // The schema has said that it is the request of this verb.
    const handle = handlers[verb] as (request: unknown, caller: Caller) => Promise<unknown>;
    return handle(request, caller);
  };

  return Object.freeze({
    schema,
    async answer(verb: Verb, text: string, over: 'bus' | 'loopback') {
      try {
        const response = await carryOut(verb, text, over);
        called(verb, 'ok');
        return { ok: true as const, response };
      } catch (thrown) {
        if (!(thrown instanceof ControllerError)) fault(verb, thrown);
        const error = apiError(thrown);
        called(verb, error.code);
        return { ok: false as const, error };
      }
    },
  });
}

function readJson(text: string): unknown {
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new ControllerError('invalid', 'the request is not JSON');
  }
}

function apiError(error: unknown): ApiError {
  if (!(error instanceof ControllerError)) {
    const message = error instanceof Error ? error.message : String(error);
    return {
      code: 'unavailable',
      message: `it could not be done (${message}): try again; the controller's log says more`,
    };
  }
  const { code, message, faults } = error;
  return { code, message, ...(faults === undefined ? {} : { faults }) };
}
