import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { createEvidenceLog } from '../../src/agent/evidence-log.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { tempFolder } from '../kit/temp-folder.ts';

const ORDERS = 'orders.default';
const line = (text: string) => `{"text":"${text}"}\n`;

async function logIn(t: ExecutionContext, fileBytesMax?: number) {
  const folder = join(await tempFolder(t), 'data', 'evidence');
  const counts = { written: 0, lost: 0 };
  const said: object[] = [];
  const open = () =>
    createEvidenceLog({
      folder,
      log: { warn: (fields: object) => void said.push(fields) },
      now: () => 0,
      counted(result, packets) {
        counts[result] += packets;
      },
      ...(fileBytesMax === undefined ? {} : { fileBytesMax }),
    });
  const read = (name = `${ORDERS}.jsonl`) => readFile(join(folder, name), 'utf8');
  return { folder, counts, said, open, read };
}

test('lines are kept in order, for each service in a file that nobody else can read', async (t) => {
  const { folder, counts, open, read } = await logIn(t);
  const log = open();
  for (const text of ['a', 'b', 'c']) log.append(ORDERS, line(text));
  log.append('billing.default', line('d'));
  await log.settled();
  log.append(ORDERS, line('e'));
  await log.settled();
  t.is(await read(), ['a', 'b', 'c', 'e'].map(line).join(''));
  t.is(await read('billing.default.jsonl'), line('d'));
  t.deepEqual(counts, { written: 5, lost: 0 });
  t.is((await stat(folder)).mode & 0o777, 0o700);
  t.is((await stat(join(folder, `${ORDERS}.jsonl`))).mode & 0o777, 0o600);
});

test('a full file makes room for a new one, and the oldest goes', async (t) => {
  const { folder, open, read } = await logIn(t, 2 * line('00').length);
  const log = open();
  for (let at = 10; at < 30; at++) {
    log.append(ORDERS, line(String(at)));
    await log.settled();
  }
  const names = (await readdir(folder)).sort();
  t.deepEqual(
    names,
    ['', '.1', '.2', '.3', '.4'].map((end) => `${ORDERS}.jsonl${end}`),
  );
  t.is(LIMITS.evidenceFilesFull, 4);
  t.is(await read(), line('28') + line('29'));
  t.is(await read(`${ORDERS}.jsonl.1`), line('26') + line('27'));
  t.is(await read(`${ORDERS}.jsonl.4`), line('20') + line('21'));
});

test('half a line that an earlier process has left spoils no other', async (t) => {
  const { folder, open, read } = await logIn(t);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${ORDERS}.jsonl`), '{"te');
  const log = open();
  log.append(ORDERS, line('a'));
  await log.settled();
  log.append(ORDERS, line('b'));
  await log.settled();
  t.is(await read(), `{"te\n${line('a')}${line('b')}`);
});

test('what the disk does not take is counted and said, and what comes later is kept', async (t) => {
  const { folder, counts, said, open, read } = await logIn(t);
  await mkdir(folder, { recursive: true });
  await mkdir(join(folder, `${ORDERS}.jsonl`));
  const log = open();
  log.append(ORDERS, line('a'));
  log.append(ORDERS, line('b'));
  log.append('billing.default', line('c'));
  await log.settled();
  t.deepEqual(counts, { written: 1, lost: 2 });
  t.like(said, [{ service: ORDERS }]);
  t.is(await read('billing.default.jsonl'), line('c'));
});

test('what waits for a slow disk is bounded', async (t) => {
  const { counts, open } = await logIn(t);
  const log = open();
  const long = line('x'.repeat(1024 * 1024));
  for (let at = 0; at < 20; at++) log.append(ORDERS, long);
  await log.settled();
  t.deepEqual(counts, { written: 15, lost: 5 });
  log.append(ORDERS, long);
  await log.settled();
  t.is(counts.written, 16);
});

test('an agent without a data folder loses all, and says so', async (t) => {
  const { counts, said } = await logIn(t);
  const log = createEvidenceLog({
    folder: undefined,
    log: { warn: (fields: object) => void said.push(fields) },
    now: () => 0,
    counted(result, packets) {
      counts[result] += packets;
    },
  });
  log.append(ORDERS, line('a'));
  await log.settled();
  t.deepEqual(counts, { written: 0, lost: 1 });
  t.is(said.length, 1);
});
