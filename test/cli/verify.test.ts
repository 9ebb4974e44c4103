import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createMesh, meshFolder, readRootFile } from '../../src/cli/mesh-folder.ts';
import { evidenceLine } from '../../src/protocol/evidence-record.ts';
import { FrameWriter } from '../../src/protocol/frames.ts';
import { createRoot } from '../../src/protocol/root.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';
import {
  agentOf,
  NOW,
  ROOT,
  recordOf,
  request,
  response,
  type Sample,
} from '../protocol/evidence-samples.ts';

const FRONT = agentOf('front', ['checkout.default']);
const BACK = agentOf('back', ['orders.default']);
/** It may speak and answer. */
const BACK_CALLS = agentOf('back', ['orders.default', 'checkout.default']);
const TO_FRONT: Sample = {
  frames: response(),
  subject: 'weft.shop.rx.front.0123456789abcdef',
  context: { audience: 'front', toService: false, epoch: 0 },
};

async function verify(t: ExecutionContext, text: string | Buffer, ...args: readonly string[]) {
  const folder = await tempFolder(t);
  const file = join(folder, 'evidence.jsonl');
  await writeFile(file, text);
  const options = args.includes('--root') || args.includes('--context') ? args : ['--root', ROOT, ...args];
  const weft = startWeft(t, ['verify', file, ...options], { cwd: folder });
  const code = await weft.exited;
  return { code, stdout: weft.stdout(), stderr: weft.stderr() };
}

test('verify says of each packet who has said what to whom, and when', async (t) => {
  const lines = [recordOf(FRONT), recordOf(BACK, TO_FRONT), recordOf(FRONT)].map(evidenceLine);
  const { code, stdout, stderr } = await verify(t, lines.join('\n'));
  t.is(code, 0, stderr);
  const time = new Date(NOW + 1000).toISOString();
  const asked = `${time}  spiffe://shop/agent/front to orders.default: #7 POST /pay by checkout.default; #7 12 bytes of body from byte 0`;
  t.is(
    stdout,
    `line 1  ok  ${asked}
line 3  ok  ${time}  spiffe://shop/agent/back to front, about orders.default: #7 status 201
line 5  ok  ${asked} (the packet of line 1 again)
3 packets, 0 failed`,
  );
});

test('as data it says the same, and by which packet of which session', async (t) => {
  const { stdout } = await verify(t, evidenceLine(recordOf(FRONT, { counter: 42 })), '-o', 'json');
  t.deepEqual(JSON.parse(stdout), {
    packets: [
      {
        line: 1,
        ok: true,
        sameAs: null,
        time: new Date(NOW + 1000).toISOString(),
        agent: 'spiffe://shop/agent/front',
        session: '0123456789abcdef',
        counter: 42,
        service: 'orders.default',
        audience: 'orders.default',
        subject: 'weft.shop.svc.default.orders',
        statements: [
          { stream: 7, type: 'request', method: 'POST', target: '/pay', caller: 'checkout.default' },
          { stream: 7, type: 'body', at: 0, bytes: 12 },
        ],
      },
    ],
  });
});

test('who may not say what was said has proven nothing by signing it', async (t) => {
  const asked = (head: string) => evidenceLine(recordOf(FRONT, { frames: request(head) }));
  const nested = new FrameWriter();
  nested.evidence('orders.default');
  const { code, stdout } = await verify(
    t,
    [
      asked('POST /pay orders.default billing.default 15000\r\n'),
      asked('POST /pay billing.default checkout.default 15000\r\n'),
      evidenceLine(recordOf(FRONT, TO_FRONT)),
      evidenceLine(recordOf(BACK_CALLS, { frames: Buffer.concat([nested.bytes(), request()]) })),
      evidenceLine(recordOf(FRONT, { frames: request().subarray(0, -1) })),
      evidenceLine(recordOf(FRONT)),
    ].join(''),
  );
  t.is(code, 1);
  t.deepEqual(
    stdout.split('\n').map((line) => line.replace(/^line \d {2}/, '').replace(/^ok .*/, 'ok')),
    [
      'failed  front may not speak for billing.default',
      'failed  the packet is about orders.default, and billing.default is asked in it',
      'failed  front may not answer for orders.default',
      'failed  evidence within evidence',
      'failed  frame at byte 73: frame longer than its packet',
      'ok',
      '6 packets, 5 failed',
    ],
  );
});

test('what anybody may have written into the file neither stops verify nor reaches the terminal', async (t) => {
  const good = evidenceLine(recordOf(FRONT));
  const { code, stdout } = await verify(
    t,
    Buffer.concat([
      Buffer.from(`\u001b[2J${good}`),
      Buffer.alloc(3 * 1024 * 1024, '['),
      Buffer.from(`\n{"version":1,"mesh":"\\u001b[2J"}\n`),
      Buffer.from([0xff, 0x00, 0x0a, 0x0a, 0x0d, 0x0a]),
      Buffer.from(good.trimEnd()),
    ]),
  );
  t.is(code, 1);
  t.regex(stdout, /^[\n -~]*$/);
  const lines = stdout.split('\n');
  t.is(lines.length, 7);
  t.regex(lines[1] ?? '', /^line 2 {2}failed {2}the line has over \d+ bytes$/);
  t.regex(lines[5] ?? '', /^line 7 {2}ok /);
  t.is(lines[6], '6 packets, 5 failed');
});

test('another root proves nothing; of several one is enough; without any the context names it', async (t) => {
  const line = evidenceLine(recordOf(FRONT));
  const other = createRoot().publicKey;
  const refused = await verify(t, line, '--root', other);
  t.is(refused.code, 1);
  t.regex(refused.stdout, /not signed by the root of this mesh/);
  t.is((await verify(t, line, '--root', other, '--root', ROOT)).code, 0);

  const folder = meshFolder(await tempFolder(t));
  await createMesh(folder, 'shop', ['nats://127.0.0.1:1']);
  const { seed, publicKey } = await readRootFile(folder.rootFile);
  const own = evidenceLine(recordOf(agentOf('front', ['checkout.default'], 'shop', seed)));
  const context = join(folder.path, 'context.json');
  t.is((await verify(t, own, '--context', context)).code, 0);
  t.is((await verify(t, own, '--root', join(folder.path, 'root.nk'))).code, 0);
  t.is((await verify(t, own, '--root', publicKey)).code, 0);
  t.is((await verify(t, line, '--context', context)).code, 1);
});

test('no evidence, no file and no root are faults of use', async (t) => {
  t.is((await verify(t, '\n\n')).code, 2);
  const missing = startWeft(t, ['verify', join(await tempFolder(t), 'none'), '--root', ROOT]);
  t.is(await missing.exited, 2);
  t.regex(missing.stderr(), /cannot read .*none \(ENOENT\)/);
  const rootless = startWeft(t, ['verify', 'x'], { cwd: await tempFolder(t) });
  t.is(await rootless.exited, 2);
});
