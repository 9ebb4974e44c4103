import { readFile } from 'node:fs/promises';
import test from 'ava';
import { readAgentConfig } from '../../src/agent/config.ts';
import { readMeshConfig } from '../../src/cli/mesh-config.ts';

const document = await readFile(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
const prose = document.replace(/^```.*?^```$/gms, '');
/** Every word that stands in backticks outside the examples. */
const named = new Set([...prose.matchAll(/`([^`\n]+)`/g)].flatMap(([, code]) => code?.match(/\w+/g) ?? []));

test('the examples of the documentation are good configurations', (t) => {
  const [agent, doors, mesh] = [...document.matchAll(/```yaml\n(.*?)```/gs)].map(([, yaml]) => yaml ?? '');
  t.is(readAgentConfig(agent!, 'agent.yaml').workloads.length, 1);
  const head = agent!.slice(0, agent!.indexOf('workloads:'));
  t.is(readAgentConfig(head + doors, 'agent.yaml', 'linux').workloads.length, 2);
  t.is(readMeshConfig(mesh!, 'mesh.yaml').agents.length, 2);
});

function* fieldsOf(schema: unknown): Generator<string> {
  if (typeof schema !== 'object' || schema === null) return;
  const { properties = {} } = schema as { properties?: object };
  yield* Object.keys(properties);
  for (const part of Object.values(schema)) yield* fieldsOf(part);
}

test('every field of the schemas is documented', async (t) => {
  for (const name of ['agent', 'mesh']) {
    const schema = await readFile(new URL(`../../schemas/${name}.schema.json`, import.meta.url), 'utf8');
    for (const field of fieldsOf(JSON.parse(schema))) t.true(named.has(field), field);
  }
});
