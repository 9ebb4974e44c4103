import test from 'ava';
import fc from 'fast-check';
import { readResources } from '../../../src/controller/resources/read-resources.ts';
import { faultLine } from '../../../src/protocol/config-fault.ts';

const SERVICE = 'apiVersion: weft.dev/v1\nkind: Service\nmetadata: { name: orders }\n';
const read = (text: string) => readResources(text, 'a.yaml');
const lines = (text: string) => read(text).faults.map(faultLine);

test('a file holds many documents; empty ones are nothing', (t) => {
  const { resources, faults } = read(
    `# a comment\n---\n${SERVICE}---\n\n---\n${SERVICE.replace('orders', 'users')}...\n`,
  );
  t.deepEqual(faults, []);
  t.deepEqual(
    resources.map(({ resource }) => resource.metadata.name),
    ['orders', 'users'],
  );
  t.deepEqual(read(''), { resources: [], faults: [] });
});

test('a list is read as its items, and faults are placed in it', (t) => {
  const list =
    'apiVersion: v1\nkind: List\nitems:\n- apiVersion: weft.dev/v1\n  kind: Service\n  metadata: { name: orders }\n';
  t.is(read(list).resources.length, 1);
  t.deepEqual(lines(`${list}  spec: { protocol: grpc }\n`), [
    'a.yaml:7:11: items[0].spec.protocol: found "grpc", expected http',
  ]);
  t.deepEqual(lines('kind: List\n'), ['a.yaml:1:1: items: found nothing, expected a list of resources']);
});

test('JSON is read too', (t) => {
  const json = JSON.stringify({ apiVersion: 'weft.dev/v1', kind: 'Service', metadata: { name: 'orders' } });
  t.is(read(json).resources.length, 1);
});

test('faults of all documents are said at once, each with file, line, field, value and what was expected', (t) => {
  const text = `${SERVICE}spec: { protocl: http }\n---\n${SERVICE}spec:\n  exposure: all\n---\n${SERVICE}`;
  t.deepEqual(lines(text), [
    'a.yaml:4:9: spec.protocl: found an unknown field, expected protocol (is that what was meant?)',
    'a.yaml:10:3: spec.exposure: found "all", expected one of mesh, namespace',
  ]);
  t.is(read(text).resources.length, 1);
});

test('a document that is no YAML does not hide the others', (t) => {
  const { resources, faults } = read(`a: [\n---\n${SERVICE}`);
  t.is(resources.length, 1);
  t.true(faults.length > 0);
});

test('doubled keys and tags are refused in every document', (t) => {
  t.regex(
    lines(`${SERVICE}---\n${SERVICE}kind: Service\n`)[0] ?? '',
    /^a\.yaml:8:1: found the key "kind" again/,
  );
  t.regex(lines(`${SERVICE}---\n!!set {a}\n`)[0] ?? '', /the tag/);
});

test('a resource can place what is found wrong later', (t) => {
  const [first, second] = read(`${SERVICE}---\n${SERVICE}spec:\n  aliases: [a]\n`).resources;
  t.deepEqual(first?.place(['metadata', 'name']), { file: 'a.yaml', line: 3, column: 13 });
  t.is(second?.fault(['spec', 'aliases', 0], 'another').line, 9);
});

test('a bomb of aliases and a large file are faults', (t) => {
  let bomb = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n';
  for (let i = 1; i < 12; i++)
    bomb += `a${i}: &a${i} [${Array(10)
      .fill(`*a${i - 1}`)
      .join(', ')}]\n`;
  t.regex(lines(bomb)[0] ?? '', /Excessive alias count/);
  t.regex(lines('#'.repeat(1024 * 1024 + 1))[0] ?? '', /at most 1 MiB/);
  t.is(read('['.repeat(20_000)).resources.length, 0);
});

test('whatever the text, reading ends with resources and faults', (t) => {
  const piece = fc.constantFrom(
    SERVICE,
    '---\n',
    'kind: List\nitems:\n',
    '- ',
    '  ',
    '{',
    '}',
    '[',
    ': ',
    '&a ',
    '*a ',
    '!!x ',
    'spec:\n',
    '...\n',
    '"',
    'null\n',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece).map((pieces) => pieces.join('')),
      ),
      (text) => {
        for (const { line, column } of read(text).faults) t.true(line >= 1 && column >= 1);
      },
    ),
    { numRuns: 500 },
  );
});
