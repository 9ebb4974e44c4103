/** What a signed packet says, for people. Whoever signed it may have said anything: nothing of it is relied on. */
import { WeftError } from '../protocol/errors.ts';
import type { CheckedEvidence, EvidenceRecord } from '../protocol/evidence-record.ts';
import { FLAG, frameOffset, frameReset, OFFSET_BYTES, readFrames, TYPE } from '../protocol/frames.ts';
import { decodeRequestHead, decodeResponseHead } from '../protocol/head.ts';

/** `stream`: of the session that asks, which is the sender's, or the one that the packet is for. */
export type Statement = { readonly stream: number } & (
  | {
      readonly type: 'request';
      readonly method: string;
      readonly target: string;
      /** The workload that asks. */
      readonly caller: string | null;
    }
  | { readonly type: 'informational' | 'response'; readonly status: number }
  /** A piece of a body that begins `at` byte. */
  | { readonly type: 'body'; readonly at: number; readonly bytes: number }
  /** `bytes` of the whole body. */
  | { readonly type: 'end'; readonly bytes: number }
  | { readonly type: 'reset'; readonly code: string }
);

/**
 * What the sender has said, without what only says how far it is.
 * @throws WeftError `denied` if it may not speak for whom it has spoken; `stream_protocol` if it makes no sense
 */
export function statementsOf({ frames, service }: EvidenceRecord, { sender }: CheckedEvidence): Statement[] {
  const statements: Statement[] = [];
  const mayAnswer = sender.workloads.has(service);
  readFrames(frames, {
    frame(type, flags, stream, plain, start, end) {
      const text = () => plain.toString('latin1', start, end);
      if ((flags & FLAG.OPENER) === 0 && !mayAnswer) {
        throw new WeftError('denied', `${sender.agent} may not answer for ${service}`);
      }
      if (type === TYPE.REQUEST) {
        const { method, target, caller, service: asked } = decodeRequestHead(text());
        if (asked !== service) {
          throw new WeftError('denied', `the packet is about ${service}, and ${asked} is asked in it`);
        }
        if (caller !== undefined && !sender.workloads.has(caller)) {
          throw new WeftError('denied', `${sender.agent} may not speak for ${caller}`);
        }
        statements.push({ stream, type: 'request', method, target, caller: caller ?? null });
      } else if (type === TYPE.RESPONSE || type === TYPE.INFORMATIONAL) {
        const { status } = decodeResponseHead(text());
        statements.push({ stream, type: type === TYPE.RESPONSE ? 'response' : 'informational', status });
      } else if (type === TYPE.DATA) {
        const bytes = end - start - OFFSET_BYTES;
        statements.push({ stream, type: 'body', at: frameOffset(plain, start), bytes });
      } else if (type === TYPE.END) {
        statements.push({ stream, type: 'end', bytes: frameOffset(plain, start) });
      } else if (type === TYPE.RESET) {
        statements.push({ stream, type: 'reset', code: frameReset(plain, start, end).code });
      } else if (type === TYPE.EVIDENCE) {
        throw new WeftError('stream_protocol', 'evidence within evidence');
      }
    },
  });
  return statements;
}

export function statementText(statement: Statement): string {
  const stream = `#${statement.stream}`;
  switch (statement.type) {
    case 'request': {
      const { method, target, caller } = statement;
      return `${stream} ${method} ${target} by ${caller ?? 'somebody without identity'}`;
    }
    case 'response':
    case 'informational':
      return `${stream} status ${statement.status}`;
    case 'body':
      return `${stream} ${statement.bytes} bytes of body from byte ${statement.at}`;
    case 'end':
      return `${stream} end of a body of ${statement.bytes} bytes`;
    case 'reset':
      return `${stream} broken off: ${statement.code}`;
  }
}
