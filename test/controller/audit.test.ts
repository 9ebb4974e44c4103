/** What is done to a mesh is written down, by the root's hand, and whatever becomes of the stream. */
import { jetstreamManager } from '@nats-io/jetstream';
import test, { type ExecutionContext } from 'ava';
import { checkedLines } from '../../src/cli/audit.ts';
import { createAudit } from '../../src/controller/audit.ts';
import { CONTROLLER_LIMITS } from '../../src/controller/limits.ts';
import { openAuditEntry } from '../../src/protocol/audit-entry.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { signDocument, signingKey } from '../../src/protocol/signed-document.ts';
import { auditStream, auditSubject } from '../../src/protocol/subjects.ts';
import { until } from '../kit/mesh.ts';
import { MESH, route, startControlPlane } from './control-plane.ts';

async function startLeader(t: ExecutionContext) {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const rootKey = verificationKey(readRoot(plane.seed).publicKey);
  const lines = async () => checkedLines((await plane.done('audit', {})).items, rootKey, MESH);
  const some = (count: number) =>
    until(async () => {
      const all = await lines();
      return all.length >= count && all;
    }, `${count} entries are written`);
  return { ...plane, controller, rootKey, lines, some };
}

const orders = (backend: string) => ({ resources: [route('orders', 'orders.default', backend)] });
const backendOf = (resource: unknown) =>
  (resource as { spec: { rules: { backendRefs: { name: string }[] }[] } } | undefined)?.spec.rules[0]
    ?.backendRefs[0]?.name;

test('every accepted change is there, with who made it, and with what was before and after', async (t) => {
  const plane = await startLeader(t);
  const editor = plane.operator('ed', 'editor');
  await plane.done('apply', orders('a'));
  t.true((await plane.call('apply', orders('b'), editor)).ok);
  t.true((await plane.call('apply', orders('b'), editor)).ok, 'nothing changes');
  t.true((await plane.call('apply', { ...orders('c'), dryRun: true }, editor)).ok);
  await plane.done('delete', { names: [{ kind: 'HTTPRoute', namespace: 'default', name: 'orders' }] });
  const lines = await plane.some(3);
  t.deepEqual(
    lines.map((line) => [line.verb, line.author, line.role, backendOf(line.before), backendOf(line.after)]),
    [
      ['apply', 'ada@desk (root)', 'root', undefined, 'a'],
      ['apply', 'ed', 'editor', 'a', 'b'],
      ['delete', 'ada@desk (root)', 'root', 'b', undefined],
    ],
  );
  t.true(lines.every(({ checked, about }) => checked === 'signed' && about === 'httproute/default/orders'));
  t.deepEqual(
    lines.map(({ revision }) => revision),
    [1, 2, 3],
  );
});

test('what an operator was refused is there, and operators that come and go', async (t) => {
  const plane = await startLeader(t);
  const viewer = plane.operator('vic', 'viewer');
  await plane.done('addOperator', { document: viewer.document });
  t.false((await plane.call('apply', orders('a'), viewer)).ok);
  await plane.done('revokeOperator', { name: 'vic' });
  const lines = await plane.some(3);
  t.deepEqual(
    lines.map(({ verb, author, outcome, about, reason }) => [verb, author, outcome, about, reason]),
    [
      ['addOperator', 'ada@desk (root)', 'done', 'operator/vic', undefined],
      ['apply', 'vic', 'refused', 'operator/vic', 'role'],
      ['revokeOperator', 'ada@desk (root)', 'done', 'operator/vic', undefined],
    ],
  );
});

test('an entry that somebody else writes, or writes again, is known as that, and so is one that is missing', async (t) => {
  const plane = await startLeader(t);
  for (const backend of ['a', 'b', 'c']) await plane.done('apply', orders(backend));
  await plane.some(3);
  const { items } = await plane.done('audit', {});
  const forged = { ...openAuditEntry(plane.rootKey, MESH, items[0]!.text), author: 'ann' };
  const stranger = signingKey(readRoot(createRoot().seed));
  const subject = auditSubject(MESH, 'apply');
  plane.client.publish(subject, signDocument(stranger, 'weft-audit', forged));
  plane.client.publish(subject, JSON.stringify(forged));
  plane.client.publish(subject, items[1]!.text);
  const lines = await plane.some(6);
  t.deepEqual(
    lines.map(({ checked }) => checked),
    ['signed', 'signed', 'signed', 'unsigned', 'unsigned', 'repeated'],
  );
  const without = checkedLines([items[0]!, items[2]!], plane.rootKey, MESH);
  t.deepEqual(
    without.map(({ missing }) => missing),
    [undefined, 1],
  );
});

test('entries cannot be deleted from the stream, and long lists come in pages', async (t) => {
  const plane = await startLeader(t);
  await plane.done('apply', orders('a'));
  await plane.some(1);
  const { streams } = await jetstreamManager(plane.client);
  await t.throwsAsync(streams.deleteMessage(auditStream(MESH), 1));
  await t.throwsAsync(streams.purge(auditStream(MESH)));
  const padding = { metadata: { annotations: { note: 'x'.repeat(60_000) } } };
  const [plain] = orders('b').resources as { metadata: object }[];
  const long = { ...plain, metadata: { ...plain!.metadata, ...padding.metadata } };
  for (const count of [1, 2, 3, 4, 5, 6]) {
    const resource = { ...long, metadata: { ...long.metadata, labels: { count: String(count) } } };
    await plane.done('apply', { resources: [resource] });
  }
  await until(async () => (await streams.info(auditStream(MESH))).state.last_seq === 7, 'all are written');
  const sequences: number[] = [];
  let pages = 0;
  for (let after: string | undefined = ''; after !== undefined; pages += 1) {
    const page: Awaited<ReturnType<typeof plane.done<'audit'>>> = await plane.done(
      'audit',
      after === '' ? {} : { after },
    );
    sequences.push(...page.items.map(({ sequence }) => sequence));
    after = page.next;
  }
  t.deepEqual(sequences, [1, 2, 3, 4, 5, 6, 7]);
  t.true(pages > 1);
  t.deepEqual((await plane.done('audit', { since: new Date(Date.now() + 60_000).toISOString() })).items, []);
  const odd = await plane.call('audit', { after: 'x' });
  t.is(odd.ok ? '' : odd.error.code, 'invalid');
});

test('a change holds though the stream is away, and is written when there is one again', async (t) => {
  const plane = await startLeader(t);
  await plane.done('apply', orders('a'));
  await plane.some(1);
  const { streams } = await jetstreamManager(plane.client);
  await streams.delete(auditStream(MESH));
  // Another stream holds the subject, so that ours cannot be made.
  await streams.add({ name: 'squatter', subjects: [auditSubject(MESH, '*')], max_msgs: 100 });
  await plane.done('apply', orders('b'));
  t.is((await plane.snapshot('orders.default'))?.producer.rules[0]?.backends[0]?.service, 'b.default');
  const metrics = () => plane.controller.metrics.registry.metrics();
  await until(
    async () => /audit_entries_total\{result="failed"\} [1-9]/.test(await metrics()),
    'it is counted',
  );
  t.regex(await metrics(), /weft_controller_audit_waiting 1/);
  const { checks } = await plane.done('check', {});
  t.like(
    checks.find(({ name }) => name === 'audit'),
    {
      result: 'warning',
      message: 'entries that wait to be written: 1; changes are made all the same',
    },
  );
  await streams.delete('squatter');
  const lines = await plane.some(1);
  t.is(backendOf(lines[0]?.after), 'b');
  await until(async () => /weft_controller_audit_waiting 0/.test(await metrics()), 'nothing waits');
});

test('what waits is bounded, and what is too long goes without its resources', async (t) => {
  const root = readRoot(createRoot().seed);
  const counted: string[] = [];
  const written: string[] = [];
  let away = true;
  const audit = createAudit({
    stream: {
      async write(_subject, text) {
        if (away) throw new Error('away');
        written.push(text);
      },
    },
    mesh: MESH,
    controller: 'c1',
    signingKey: signingKey(root),
    payloadBytesMax: () => 64 * 1024,
    wallMs: () => 1_000,
    counted: (result) => counted.push(result),
    failing: () => {},
  });
  const event = { verb: 'apply', author: 'ed', role: 'editor', about: 'httproute/default/x' } as const;
  for (let refused = 0; refused < 100; refused++) audit.record({ ...event, outcome: 'refused' });
  t.is(audit.waiting, CONTROLLER_LIMITS.auditRefusalsPerMinuteMax);
  audit.record({ ...event, after: 'x'.repeat(100_000) });
  while (audit.waiting < CONTROLLER_LIMITS.auditWaitingMax) audit.record(event);
  counted.length = 0;
  audit.record(event);
  t.deepEqual(counted, ['lost']);
  t.is(audit.waiting, CONTROLLER_LIMITS.auditWaitingMax);
  away = false;
  await until(() => audit.waiting === 0, 'all are written');
  const long = openAuditEntry(
    verificationKey(root.publicKey),
    MESH,
    written[CONTROLLER_LIMITS.auditRefusalsPerMinuteMax]!,
  );
  t.like(long, { shortened: true, author: 'ed' });
  t.false('after' in long);
});
