/**
 * Throws paths at their normal form: pieces that readers of paths differ about, in any order, some of them damaged. What comes
 * out is a path that every application reads alike, or a `WeftError`.
 *
 *     node test/fuzz/paths.ts [seconds] [seed]
 */
import { pathToFileURL } from 'node:url';
import { normalisePath } from '../../src/protocol/authorization/normal-path.ts';
import { ComparedPath, pathTest } from '../../src/protocol/authorization/path-pattern.ts';
import { WeftError } from '../../src/protocol/errors.ts';
import { APPLICATIONS } from '../agent/path-spellings.ts';
import { randomFrom } from './random.ts';

const PIECES = [
  '/',
  '//',
  '/./',
  '/../',
  '..',
  '.',
  ';',
  ';x',
  '\\',
  '%2f',
  '%5C',
  '%2e',
  '%2E',
  '%25',
  '%252e',
  '%3b',
  '%00',
];
PIECES.push(
  '%c0%ae',
  '%e0%80%af',
  '%C3%A9',
  '%20',
  '%61',
  '%41',
  'admin',
  'public',
  '%',
  '%4',
  '%u0061',
  '?',
  '#',
  '*',
  '{id}',
  '~',
  '%7e',
);
PIECES.push(
  '\u00e9',
  '\0',
  ' ',
  '%ed%a0%80',
  '%f4%90%80%80',
  'a',
  '%25%32%65',
  '%3F',
  '%23',
  '+',
  '@',
  ':',
  '%0d%0a',
  '%7F',
);

const expect = (holds: boolean, what: string, path: string) => {
  if (!holds) throw new Error(`broken: ${what}: ${JSON.stringify(path)}`);
};

const admin = pathTest(['/admin', '/admin/*', '/{id}/admin']);

function check(path: string): boolean {
  let form: ReturnType<typeof normalisePath>;
  try {
    form = normalisePath(path);
  } catch (error) {
    if (error instanceof WeftError && error.code === 'ambiguous_path') return false;
    throw error;
  }
  const again = normalisePath(form.sent);
  expect(again.sent === form.sent && again.text === form.text, 'a normal path is its own normal form', path);
  expect(form.sent.length <= path.length && /^[!-~]+$/.test(form.sent), 'it is fit for a request line', path);
  const denied = admin.fits(new ComparedPath(form.text));
  for (const [name, read] of Object.entries(APPLICATIONS)) {
    if (form.sent === '*') continue;
    const seen = read(form.sent);
    const reaches = /^\/(?:[^/]+\/)?admin\/?$/.test(seen) || seen.startsWith('/admin/');
    expect(!reaches || denied, `an application that ${name} is not asked for what is denied`, path);
  }
  return true;
}

/** Runs for some seconds. @returns how many paths there were, and how many of them have a normal form */
export function fuzzPaths(seconds: number, seed: number): { inputs: number; taken: number } {
  const random = randomFrom(seed);
  const untilMs = performance.now() + seconds * 1_000;
  let inputs = 0;
  let taken = 0;
  while (performance.now() < untilMs) {
    let path = random(10) === 0 ? '' : '/';
    for (let pieces = random(8); pieces > 0; pieces--) path += PIECES[random(PIECES.length)];
    if (random(4) === 0) {
      const at = random(path.length + 1);
      path = path.slice(0, at) + String.fromCharCode(random(256)) + path.slice(at + random(2));
    }
    inputs += 1;
    if (check(path)) taken += 1;
  }
  return { inputs, taken };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [seconds = '10', seed = String(Date.now() % 2 ** 31)] = process.argv.slice(2);
  process.stdout.write(`seed ${seed}\n${JSON.stringify(fuzzPaths(Number(seconds), Number(seed)))}\n`);
}
