/**
 * The API on the bus. Everybody answers what changes nothing; the leader alone answers the rest. Each answer, a refusal too, is
 * signed together with the call that it is for (`protocol/answer-proof.ts`): anybody could have sent it.
 */
import type { KeyObject } from 'node:crypto';
import { PROOF_BYTES_MAX, PROOF_HEADER, PROOFS_MAX, proveAnswer } from '../../protocol/answer-proof.ts';
import type { ChangeResult, Verb } from '../../protocol/api.ts';
import { type ApiAnswer, LEADER_VERBS } from '../../protocol/api-call.ts';
import { apiSubject, QUEUE } from '../../protocol/subjects.ts';
import type { Api } from './api.ts';
import type { NatsService, ServiceEndpoint } from './nats-service.ts';

export interface NatsApi {
  /** Answers the changing verbs too, or no longer. */
  lead(leads: boolean): void;
}

/** What an answer may take besides its text, bytes: its proofs, and what else is in its headers. */
const OVERHEAD_BYTES = PROOFS_MAX * PROOF_BYTES_MAX + 1_024;

export function createNatsApi(options: {
  readonly api: Api;
  readonly service: NatsService;
  readonly mesh: string;
  /** Of the roots of the mesh: an operator may know one of them only. */
  readonly signingKeys: readonly KeyObject[];
  readonly payloadBytesMax: () => number;
}): NatsApi {
  const { api, service, mesh, signingKeys, payloadBytesMax } = options;

  const endpoint = (verb: Verb): ServiceEndpoint => ({
    name: verb,
    subject: apiSubject(mesh, verb),
    queue: QUEUE,
    metadata: {
      description: api.schema.summary(verb),
      request_schema: api.schema.text(verb, 'Request'),
      response_schema: api.schema.text(verb, 'Response'),
    },
    async answer(payload) {
      const answer = await api.answer(verb, Buffer.from(payload).toString('utf8'), 'bus');
      const text = bounded(answer, payloadBytesMax() - OVERHEAD_BYTES);
      const given = { mesh, verb, call: payload, answer: Buffer.from(text) };
      const proofs = signingKeys.map((key) => proveAnswer(key, given));
      const made = { text, headers: { [PROOF_HEADER]: proofs } };
      return answer.ok ? made : { ...made, error: answer.error };
    },
  });

  const leaders = api.schema.verbs.filter((verb) => LEADER_VERBS.has(verb));
  for (const verb of api.schema.verbs) if (!LEADER_VERBS.has(verb)) service.add(endpoint(verb));
  return Object.freeze({
    lead(leads: boolean) {
      for (const verb of leaders) {
        if (leads) service.add(endpoint(verb));
        else service.remove(verb);
      }
    },
  });
}

function bounded(answer: ApiAnswer<unknown>, bytesMax: number): string {
  const text = JSON.stringify(answer);
  const bytes = Buffer.byteLength(text);
  if (bytes <= bytesMax) return text;
  // What was done is done, and its account is short without the resources themselves.
  const shorter = answer.ok ? withoutResources(answer.response) : undefined;
  if (shorter !== undefined && Buffer.byteLength(shorter) <= bytesMax) return shorter;
  const done = answer.ok ? 'the answer' : 'the list of faults';
  const message = `${done} has ${bytes} bytes, more than the ${bytesMax} that a message can carry: ask for less at once (one kind, one namespace, one name)`;
  const code = answer.ok ? 'unavailable' : answer.error.code;
  return JSON.stringify({ ok: false, error: { code, message } } satisfies ApiAnswer<unknown>);
}

function withoutResources(response: unknown): string | undefined {
  const result = response as Partial<ChangeResult>;
  if (result.changes === undefined) return undefined;
  const changes = result.changes.map(({ before, after, ...change }) => change);
  return JSON.stringify({ ok: true, response: { ...result, changes } });
}
