/** Who is enrolled, by itself: what a mesh of thousands does to the trust list. */
import test from 'ava';
import type { IdentityRecord } from '../../src/controller/identities/identity-record.ts';
import { createRegistry } from '../../src/controller/identities/registry.ts';
import { createRoots } from '../../src/controller/roots.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { signDocument, signingKey } from '../../src/protocol/signed-document.ts';
import { readTrustList, TRUST_NAME } from '../../src/protocol/trust-list.ts';
import { MESH } from './control-plane.ts';

const BY = { author: 'ada', nonce: '00' };
const root = readRoot(createRoot().seed);

/** With so many agents, whose names are as long as names can be, and whose keys have been replaced lately. */
async function create(agents: number, trustBytesMax: number = LIMITS.publicationBytesMax) {
  const wallMs = () => 1_800_000_000_000;
  const nameOf = (at: number) => String(at).padStart(63, 'a');
  const records = new Map<string, { resource: IdentityRecord; revision: number }>();
  for (let at = 0; at < agents; at++) {
    const agent = {
      agent: nameOf(at),
      key: 'U',
      x25519: '',
      workloads: [],
      keyMs: wallMs() - 3_600_000,
      replacedMs: wallMs() - 3_600_000,
      enrolled: true,
    };
    records.set(`agent.${agent.agent}`, { resource: { agent }, revision: 1 });
  }
  const registry = createRegistry({
    store: { doubt: undefined, list: async () => records, apply: async () => 2 },
    roots: createRoots(root),
    timing: { keyLeadMs: 1, keyLeadRevokedMs: 1 },
    wallMs,
    committed() {},
    settled: () => true,
    trustBytesMax: () => trustBytesMax,
  });
  await registry.load();
  /** As agents read it. */
  const list = () => {
    const revision = [1, 1] as const;
    const named = { version: 1, mesh: MESH, service: TRUST_NAME, revision, roots: [root.publicKey] };
    const value = { ...named, ...registry.cutoffs() };
    return {
      read: readTrustList(MESH, value),
      bytes: signDocument(signingKey(root), 'weft-trust', value).length,
    };
  };
  return { registry, list, nameOf };
}

test('a trust list that names thousands of agents is read whole', async (t) => {
  const { list } = await create(7_000);
  const { read, bytes } = list();
  t.is(read?.revoked.length, 7_000);
  t.true(bytes < LIMITS.publicationBytesMax);
});

test('so many agents are rotated that as many revocations have room beside them, and no more', async (t) => {
  const bytesMax = 64 * 1024;
  const { registry, list, nameOf } = await create(200, bytesMax);
  let rotated = 0;
  const refused = await (async () => {
    for (; rotated < 200; rotated++) await registry.rotateAgent(nameOf(rotated), BY);
  })().catch(String);
  t.regex(String(refused), /room is for revocations/);
  t.true(rotated > 20);
  t.true(list().bytes < bytesMax / 2 + 1_024);
  for (let at = 0; at < 200; at++) await registry.revoke(nameOf(at), BY);
  const { read, bytes } = list();
  t.is(read?.revoked.length, 200);
  t.true(bytes < bytesMax);
});
