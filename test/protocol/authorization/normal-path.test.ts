import { posix } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { normalisePath } from '../../../src/protocol/authorization/normal-path.ts';
import { WeftError } from '../../../src/protocol/errors.ts';

const refusal = (path: string): string => {
  try {
    return `taken as ${normalisePath(path).sent}`;
  } catch (error) {
    if (error instanceof WeftError && error.code === 'ambiguous_path') return error.message.split(': ')[1]!;
    throw error;
  }
};

for (const [path, sent, text = sent] of [
  ['/', '/'],
  ['*', '*'],
  ['/orders/7', '/orders/7'],
  ['/orders/', '/orders/'],
  ['/.well-known/x..y/...', '/.well-known/x..y/...'],
  ["/a!$&'()*+,=:@b", "/a!$&'()*+,=:@b"],
  ['/a%20b', '/a%20b', '/a b'],
  ['/caf%c3%a9', '/caf%C3%A9', '/café'],
  ['/%41%2d%7E', '/A-~'],
  ['/100%25', '/100%25', '/100%'],
  ['/%7Bid%7d', '/%7Bid%7D', '/{id}'],
  ['//orders///7', '/orders/7'],
  ['/./orders/./7/.', '/orders/7/'],
  ['/public/../orders/%2E%2e/admin', '/admin'],
  ['/a/..', '/'],
  ['/a/b/..', '/a/'],
] as const) {
  test(`${path} is read as ${text} and sent on as ${sent}`, (t) => {
    t.deepEqual(normalisePath(path), { sent, text });
  });
}

for (const [path, why] of [
  ['/a%2Fb', 'it holds an encoded slash'],
  ['/a%5cb', 'it holds a backslash'],
  ['/a\\b', 'it holds a backslash'],
  ['/a;v=1', 'it holds a semicolon'],
  ['/a%3bv', 'it holds a semicolon'],
  ['/a%3Fb', 'it holds an encoded question mark'],
  ['/a%23b', 'it holds an encoded number sign'],
  ['/a%00', 'it holds an encoded control character'],
  ['/a%0d%0a', 'it holds an encoded control character'],
  ['/a%7f', 'it holds an encoded control character'],
  ['/a%', 'it holds a % that begins no escape'],
  ['/a%4', 'it holds a % that begins no escape'],
  ['/a%u0061', 'it holds a % that begins no escape'],
  ['/%2561', 'it is encoded twice'],
  ['/%25252e', 'it is encoded twice'],
  ['/%25%32e', 'it is encoded twice'],
  ['/%25u0061', 'it is encoded twice'],
  ['/%c0%ae', 'its escapes are not UTF-8'],
  ['/%ff', 'its escapes are not UTF-8'],
  ['/%ed%a0%80', 'its escapes are not UTF-8'],
  ['/../a', 'it leads above the root'],
  ['/a/../../b', 'it leads above the root'],
  ['/a//../b', 'it holds both // and ..'],
  ['/admin%20', 'it ends in a space'],
  ['/a b', 'it holds a character that no path may hold'],
  ['/é', 'it holds a character that no path may hold'],
  ['admin', 'it does not start with a slash'],
  ['', 'it does not start with a slash'],
] as const) {
  test(`${JSON.stringify(path)} is refused: ${why}`, (t) => {
    t.is(refusal(path), why);
  });
}

/** Paths out of the pieces that readers of paths differ about. */
const piece = fc.constantFrom(
  ...[
    '/',
    '//',
    '.',
    '..',
    '%2e',
    '%2E',
    '%2f',
    '%5C',
    '\\',
    ';',
    '%3b',
    '%',
    '%25',
    '%252e',
    '%00',
    '%c0%af',
  ],
  ...['a', 'admin', 'ADMIN', '%61', '%20', '~', '%7E', '%C3%A9', '?', '{', '*', '%3F', 'u0041', '%25%36%31'],
);
const strangePath = fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('')}`);

const normal = (path: string) => {
  try {
    return normalisePath(path);
  } catch (error) {
    if (error instanceof WeftError) return undefined;
    throw error;
  }
};

const decodedOnce = (path: string): string => {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
};

/** What applications make of a path before they look at it. */
const READINGS: Readonly<Record<string, (path: string) => string>> = {
  'decodes once': decodedOnce,
  'decodes twice': (path) => decodedOnce(decodedOnce(path)),
  'merges slashes': (path) => decodedOnce(path).replace(/\/+/g, '/'),
  'strips parameters': (path) => decodedOnce(path).replace(/;[^/]*/g, ''),
  'takes \\ for /': (path) => decodedOnce(path).replaceAll('\\', '/'),
  'resolves dots': (path) => posix.normalize(decodedOnce(path)),
  'parses it as a reference': (path) => decodedOnce(new URL(path, 'http://x').pathname),
};

test('a normal path is its own normal form', (t) => {
  fc.assert(
    fc.property(strangePath, (path) => {
      const once = normal(path);
      if (once !== undefined) t.deepEqual(normalisePath(once.sent), once);
    }),
    { numRuns: 5_000 },
  );
  t.pass();
});

test('every application reads what is sent on as the path that was decided on', (t) => {
  let taken = 0;
  fc.assert(
    fc.property(strangePath, (path) => {
      const form = normal(path);
      if (form === undefined) return;
      taken += 1;
      for (const [name, read] of Object.entries(READINGS)) {
        if (form.sent !== '*' && read(form.sent) !== form.text)
          throw new Error(`${name}: ${path} as ${read(form.sent)}`);
      }
    }),
    { numRuns: 5_000 },
  );
  t.true(taken > 500, `${taken} were taken`);
});
