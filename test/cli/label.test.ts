import test from 'ava';
import { resolveContext } from '../../src/cli/context.ts';
import { controller } from '../../src/cli/controller.ts';
import { init } from '../../src/cli/init.ts';
import { createOperator, revokeOperator } from '../../src/cli/operator.ts';
import { namespaceOf } from '../../src/cli/target.ts';
import { createToken } from '../../src/cli/token.ts';
import { tempFolder } from '../kit/temp-folder.ts';

test('wherever a command takes a name, one that is none is told in the same words, with what was found', async (t) => {
  const dir = await tempFolder(t);
  const bad = 'Web\u001b1!';
  const nats = 'nats://127.0.0.1:1';
  const from = { nats, admin: '127.0.0.1:0', logLevel: 'silent' };
  const asked: readonly (readonly [option: string, () => Promise<unknown>])[] = [
    ['--mesh', () => init({ mesh: bad, dir, nats })],
    ['--mesh', () => controller({ mesh: bad, ...from })],
    ['--mesh', () => resolveContext({ mesh: bad, nats }, { cwd: dir, env: {} })],
    ['--host', () => createToken({ host: bad, workloads: 'orders', ttl: '1h' })],
    ['-n', async () => namespaceOf({ namespace: bad })],
    ['NAME', () => createOperator(bad, { role: 'viewer', ttl: '1h', out: 'x' })],
    ['NAME', () => revokeOperator(bad, {})],
  ];
  for (const [option, ask] of asked) {
    const error = await t.throwsAsync(ask());
    t.is(error?.name, 'UsageError');
    t.regex(
      error?.message ?? '',
      new RegExp(`^${option}: expected a DNS label: a-z, 0-9 and -, at most 63; found "Web[^\\u001b]*1!"$`),
    );
  }
  const long = await t.throwsAsync(async () => namespaceOf({ namespace: 'x'.repeat(10_000) }));
  t.true((long?.message.length ?? 0) < 200);
});
