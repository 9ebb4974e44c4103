import { generateKeyPairSync } from 'node:crypto';
import test from 'ava';
import { goneProcesses } from '../../../src/agent/control/gone.ts';
import type { EndpointList } from '../../../src/protocol/endpoint-list.ts';
import type { PeerIdentity } from '../../../src/protocol/introduction.ts';
import { listOf } from '../../kit/publisher.ts';

const keys = new Map<string, PeerIdentity['publicKey']>();

/** A document of a test: `agent/process/issue`; a process keeps its key, and `?` is one that is no good. */
function identify(document: string): PeerIdentity | undefined {
  const [agent = '', process = ''] = document.split('/');
  if (process === '?') return undefined;
  const name = `${agent}/${process}`;
  const publicKey = keys.get(name) ?? generateKeyPairSync('x25519').publicKey;
  keys.set(name, publicKey);
  return {
    agent,
    publicKey,
    signingKey: publicKey,
    issuer: '',
    issuedAtMs: 0,
    workloads: new Set(),
    expiresAtMs: 9e15,
  };
}

const list = (...documents: string[]) =>
  listOf(
    'orders.default',
    [1, 1],
    documents.map((document) => ({ agent: document.split('/')[0] ?? '', document })),
  ) as EndpointList;
const gone = (before: EndpointList | undefined, after: EndpointList) =>
  goneProcesses(before, after, identify).map(({ agent }) => agent);

test('who is on the next list no more is gone, and so is the process whose name another one has', (t) => {
  t.deepEqual(gone(list('a/1/1', 'b/1/1', 'c/1/1'), list('b/2/1', 'c/1/1', 'd/1/1')), ['a', 'b']);
});

test('who has had its document renewed is there, and so is who is not ready', (t) => {
  const unready = list('b/1/1');
  const after = {
    ...unready,
    endpoints: unready.endpoints.map((one) => ({ ...one, state: 'draining' as const })),
  };
  t.deepEqual(gone(list('a/1/1'), list('a/1/2')), []);
  t.deepEqual(gone(list('b/1/1'), after), []);
});

test('nothing is said of documents that are no good, nor before there was a list', (t) => {
  t.deepEqual(gone(list('a/?/1', 'b/1/1'), list('b/?/1')), []);
  t.deepEqual(gone(undefined, list()), []);
});
