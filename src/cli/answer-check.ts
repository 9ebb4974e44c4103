/** Whether an answer is the controller's, and what to do if it is not. */
import type { Msg } from '@nats-io/nats-core';
import { checkAnswer, PROOF_HEADER } from '../protocol/answer-proof.ts';
import { CHANGING_VERBS } from '../protocol/api-call.ts';
import { WeftError } from '../protocol/errors.ts';
import type { RootKeys } from '../protocol/signed-document.ts';

/**
 * Nothing of an answer is read before this.
 * @param call as it was sent
 * @throws WeftError `denied` if a root that is known here has not signed it for this call
 */
export function checkSender(
  roots: RootKeys,
  { mesh, verb, call }: { readonly mesh: string; readonly verb: string; readonly call: string },
  { data, headers }: Pick<Msg, 'data' | 'headers'>,
): void {
  try {
    checkAnswer(
      roots,
      { mesh, verb, call: Buffer.from(call), answer: data },
      headers?.values(PROOF_HEADER) ?? [],
    );
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const open = CHANGING_VERBS.has(verb)
      ? '. Whether the change was made is not known; `weft history` tells'
      : '';
    throw new WeftError(
      'denied',
      `${verb}: ${why}, so it is not taken for one of the controller of the mesh ${mesh}. If its root was replaced, use the present ` +
        'context file or --root, and new credentials of `weft operator create`; a controller of an earlier release has to be replaced. ' +
        `Otherwise somebody else answers: let nobody but controllers do that on NATS (\`weft nats config\`)${open}`,
      { cause },
    );
  }
}
