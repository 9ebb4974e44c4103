/** The operator of a bench: sends changes to the controller as `weft apply` does, over a connection that stays. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
import type { ApiAnswer } from '../src/protocol/api-call.ts';
import { signCall } from '../src/protocol/api-call.ts';
import { readRoot } from '../src/protocol/root.ts';
import { signingKey } from '../src/protocol/signed-document.ts';
import { apiSubject } from '../src/protocol/subjects.ts';

const ANSWER_MS = 10_000;
const POLL_MS = 100;

export async function createOperator(url: string, mesh: string, rootFile: string) {
  const connection = await connect({ servers: [url] });
  const key = signingKey(readRoot(await readFile(rootFile, 'utf8')));

  async function apply(service: string, change: number): Promise<void> {
    const nonce = randomBytes(16).toString('hex');
    const call = { verb: 'apply', mesh, timeMs: Date.now(), nonce, author: 'bench' };
    const request = { resources: [route(service, change)] };
    const payload = signCall(key, { ...call, request });
    const answer = await connection.request(apiSubject(mesh, 'apply'), payload, { timeout: ANSWER_MS });
    const result = answer.json<ApiAnswer<unknown>>();
    if (!result.ok) throw new Error(`apply: ${JSON.stringify(result.error)}`);
  }

  return Object.freeze({
    apply,
    async untilLeading(limitMs: number): Promise<void> {
      const untilMs = performance.now() + limitMs;
      for (;;) {
        try {
          await apply('warm', 0);
          return;
        } catch (error) {
          if (performance.now() > untilMs) throw error;
          await wait(POLL_MS);
        }
      }
    },
    async ask(subject: string): Promise<number> {
      return Number((await connection.request(subject, '', { timeout: ANSWER_MS })).string());
    },
    close: () => connection.close(),
  });
}

function route(service: string, change: number) {
  const filter = {
    type: 'ResponseHeaderModifier',
    responseHeaderModifier: { set: [{ name: 'x-change', value: String(change) }] },
  };
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: service },
    spec: { parentRefs: [{ group: '', kind: 'Service', name: service }], rules: [{ filters: [filter] }] },
  };
}
