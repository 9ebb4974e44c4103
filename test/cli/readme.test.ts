/** What the README has people type, against the demo that it is about. */
import { readFile } from 'node:fs/promises';
import test from 'ava';
import { parse } from 'yaml';
import { planDemo } from '../../demo/plan.ts';
import { stepsOf, whatToTry } from '../../demo/story.ts';
import { readMeshConfig } from '../../src/cli/mesh-config.ts';
import { readResources } from '../../src/controller/resources/read-resources.ts';

const file = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');

interface DemoFile {
  readonly agents: readonly {
    readonly workloads: readonly { readonly service: string; readonly listen?: string }[];
  }[];
}

async function workloads() {
  const { agents } = parse(await file('demo/mesh.yaml')) as DemoFile;
  return agents.flatMap(({ workloads }) => workloads);
}

function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))].map(
    ([, block = '']) => block,
  );
}

test('the canary of the README is the file that it names, valid, and about services of the demo', async (t) => {
  const [, canary = ''] = blocks(await file('README.md'), 'yaml');
  const [, ...lines] = canary.split('\n');
  t.is(canary.split('\n')[0], '# demo/canary.yaml');
  const text = await file('demo/canary.yaml');
  t.is(text.split('\n').slice(1).join('\n'), lines.join('\n'));
  const { resources, faults } = readResources(text, 'demo/canary.yaml');
  t.deepEqual(faults, []);
  const served = (await workloads()).map(({ service }) => service);
  const names = [...text.matchAll(/name: ([\w-]+)/g)].map(([, name]) => name);
  t.is(resources.length, 1);
  for (const name of names) t.true(served.includes(name!), name);
});

test('doors and callers in the commands of the README and of the demo are those of the demo', async (t) => {
  const mesh = await file('demo/mesh.yaml');
  t.notThrows(() => readMeshConfig(mesh, 'demo/mesh.yaml'));
  const plan = planDemo(mesh, 18_080);
  const doors = (await workloads()).map(({ listen }) => listen);
  const callers = (await workloads()).map(({ service }) => service);
  const typed = [...blocks(await file('README.md'), 'sh'), whatToTry(plan, 18_080)].join('\n');
  for (const [, door] of typed.matchAll(/(127\.0\.0\.1:150\d1)/g)) t.true(doors.includes(door), door);
  for (const [, caller] of typed.matchAll(/--from ([\w-]+)/g)) t.true(callers.includes(caller!), caller);
  for (const command of ['apply', 'explain', 'check']) {
    t.regex(
      whatToTry(plan, 18_080),
      new RegExp(`bin/weft ${command} .*--context demo/\\.weft/context\\.json`),
    );
  }
  t.true(stepsOf(plan, 18_080).every(({ door }) => door !== ''));
});

test('every version of a sample application is started from its one script', async (t) => {
  const { applications } = planDemo(await file('demo/mesh.yaml'), 18_080);
  for (const { script } of applications) await t.notThrowsAsync(file(`demo/${script}`), script);
  t.truthy(applications.find(({ instance, script }) => instance === 'orders-v2-1' && script === 'orders.ts'));
});

test('the README asks for the Node that the package asks for', async (t) => {
  const { engines } = JSON.parse(await file('package.json')) as { engines: { node: string } };
  const [, major] = />=(\d+)/.exec(engines.node) ?? [];
  t.true((await file('README.md')).includes(`Weft runs on Node ${major} or newer`));
});
