import type { PathModifier } from '../snapshot.ts';

/** What a path may hold where it stands in a request line: visible ASCII that ends neither path nor line. */
const PLAIN = /^[!"$->@-~]*$/;
const NOT_PLAIN = /[^!"$->@-~]+/gu;

/**
 * The path as a route has it changed (HTTPROUTE.md A4). A prefix is replaced element by element, and only where
 * it stands: any other path, and the `*` of OPTIONS, stays as it is. The result starts with exactly one slash and is
 * fit for a request line, whatever the modifier holds; what is not is percent-encoded.
 */
export function modifyPath(path: string, modifier: PathModifier): string {
  if (!path.startsWith('/')) return path;
  const value = plain(modifier.value);
  if (modifier.type === 'ReplaceFullPath') return rooted(value);
  const prefix = withoutSlash(modifier.prefix);
  if (!path.startsWith(prefix)) return path;
  const rest = path.slice(prefix.length);
  return rest === '' || rest.startsWith('/') ? rooted(withoutSlash(value) + rest) : path;
}

/** The prefix without the slash at its end, which means nothing (HTTPROUTE.md A3); empty for `/`. */
export function withoutSlash(prefix: string): string {
  let end = prefix.length;
  while (end > 0 && prefix.charCodeAt(end - 1) === SLASH) end--;
  return prefix.slice(0, end);
}

const SLASH = 0x2f;

/** Two slashes at the start of a target would make the next element look like an authority. */
function rooted(path: string): string {
  let start = 0;
  while (path.charCodeAt(start) === SLASH) start++;
  return start === 1 ? path : `/${path.slice(start)}`;
}

function plain(value: string): string {
  if (PLAIN.test(value)) return value;
  return value.replace(NOT_PLAIN, (text) => {
    let encoded = '';
    for (const byte of Buffer.from(text)) encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    return encoded;
  });
}
