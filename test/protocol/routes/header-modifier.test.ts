import test from 'ava';
import { modifyFields } from '../../../src/protocol/routes/header-modifier.ts';

const nothing = { set: [], add: [], remove: [] };

test('A4: set takes the place of all lines of a name, or makes one', (t) => {
  const fields = ['a', '1', 'b', '2', 'a', '3'];
  t.deepEqual(modifyFields(fields, { ...nothing, set: [['a', 'x']] }), ['a', 'x', 'b', '2']);
  t.deepEqual(modifyFields(fields, { ...nothing, set: [['c', 'x']] }), [...fields, 'c', 'x']);
  t.deepEqual(fields, ['a', '1', 'b', '2', 'a', '3'], 'the lines that it was given are left alone');
});

test('A4: add goes on behind the value that is there', (t) => {
  t.deepEqual(modifyFields(['a', 'old'], { ...nothing, add: [['a', 'new']] }), ['a', 'old,new']);
  t.deepEqual(modifyFields(['b', 'a'], { ...nothing, add: [['a', 'new']] }), ['b', 'a', 'a', 'new']);
});

test('a cookie that is added stays one of several', (t) => {
  const lines = modifyFields(['set-cookie', 'a=1'], { ...nothing, add: [['set-cookie', 'b=2; Path=/']] });
  t.deepEqual(lines, ['set-cookie', 'a=1', 'set-cookie', 'b=2; Path=/']);
  t.deepEqual(modifyFields(['cookie', 'a=1'], { ...nothing, add: [['cookie', 'b=2']] }), [
    'cookie',
    'a=1; b=2',
  ]);
});

test('A4: remove deletes all lines of a name', (t) => {
  t.deepEqual(modifyFields(['a', '1', 'b', '2', 'a', '3'], { ...nothing, remove: ['a'] }), ['b', '2']);
});

test('Host can be set to an authority, and neither added to nor removed', (t) => {
  const fields = ['host', 'orders'];
  t.deepEqual(modifyFields(fields, { ...nothing, set: [['host', 'a.example:80']] }), [
    'host',
    'a.example:80',
  ]);
  t.deepEqual(modifyFields(fields, { ...nothing, set: [['host', 'a b']] }), fields);
  t.deepEqual(modifyFields(fields, { set: [], add: [['host', 'b']], remove: ['host'] }), fields);
});

test('no route touches framing, hops, the way that a request has come, or what only the mesh may say', (t) => {
  for (const name of [
    ...[
      'content-length',
      'transfer-encoding',
      'connection',
      'keep-alive',
      'te',
      'trailer',
      'upgrade',
      'expect',
    ],
    ...[
      'proxy-connection',
      'proxy-authorization',
      'proxy-authenticate',
      'via',
      'weft-caller',
      'weft_caller',
      'weft',
    ],
    ...['x-forwarded-client-cert', 'x_forwarded_for', 'Content-Length', ':path', '', 'a b', 'a\r\nb'],
  ]) {
    const fields = [name, 'kept'];
    const all = { set: [[name, 'x']], add: [[name, 'y']], remove: [name] } as const;
    t.deepEqual(modifyFields(fields, all), fields, name);
  }
});

test('a value that is more than a value is left out', (t) => {
  for (const value of ['a\r\nb: c', 'a\nb', 'a\0', ' a', 'a ', '', 'ā']) {
    t.deepEqual(modifyFields(['a', '1'], { ...nothing, set: [['a', value]], add: [['b', value]] }), [
      'a',
      '1',
    ]);
  }
});
