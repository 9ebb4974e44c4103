/**
 * The one reading of a path that policies are compared with. Applications read paths in many ways: they decode once or
 * twice, merge slashes, cut off `;parameters`, take `\` for `/`. A path that not all of them read alike is refused, and what is
 * sent on is its normal form, so that none sees another path than the one that was decided on.
 */
import { WeftError } from '../errors.ts';

export interface NormalPath {
  /** What is sent on: no `//`, no dot segments, escapes only where they are needed and in capitals (RFC 3986 §6.2.2). */
  readonly sent: string;
  /** The same with its escapes decoded: what policies are compared with. */
  readonly text: string;
}

/** What has to be looked at closely. Everything else is in its normal form. */
const REMARKABLE = /[^!-~]|[%;\\#?]|\/\/|\/\.{1,2}(?:\/|$)/;
const UNRESERVED = /[A-Za-z0-9\-._~]/;
const ESCAPES = /%([0-9A-Fa-f]{2})?/g;
/** What somebody who decodes once more would decode; the second is how IIS had it. */
const ESCAPED_AGAIN = /%[0-9A-Fa-f]{2}|%u[0-9A-Fa-f]{4}/;

/** Characters of which it depends on the application whether they end, part or mean something else in a path. */
const AMBIGUOUS: Readonly<Record<string, string>> = {
  '/': 'an encoded slash',
  '\\': 'a backslash',
  ';': 'a semicolon',
  '?': 'an encoded question mark',
  '#': 'an encoded number sign',
};

/**
 * @param path of a request target, without its query: it starts with a slash, or is the `*` of OPTIONS
 * @throws WeftError `ambiguous_path`
 */
export function normalisePath(path: string): NormalPath {
  if (path === '*') return { sent: path, text: path };
  if (!path.startsWith('/')) throw ambiguous('it does not start with a slash');
  if (!REMARKABLE.test(path)) return { sent: path, text: path };
  const foreign = /[^!-~]|[#?;\\]/.exec(path)?.[0];
  if (foreign !== undefined)
    throw ambiguous(`it holds ${AMBIGUOUS[foreign] ?? 'a character that no path may hold'}`);
  const escaped = path.replace(ESCAPES, normalEscape);
  return resolved(escaped, decoded(escaped));
}

function normalEscape(triplet: string, digits: string | undefined): string {
  if (digits === undefined) throw ambiguous('it holds a % that begins no escape');
  const byte = Number.parseInt(digits, 16);
  const character = String.fromCharCode(byte);
  if (byte < 0x20 || byte === 0x7f) throw ambiguous('it holds an encoded control character');
  const what = AMBIGUOUS[character];
  if (what !== undefined) throw ambiguous(`it holds ${what}`);
  return UNRESERVED.test(character) && byte < 0x80 ? character : triplet.toUpperCase();
}

/** UTF-8 and nothing else: overlong forms and halves of characters are read differently by everybody. */
function decoded(escaped: string): string {
  let text: string;
  try {
    text = decodeURIComponent(escaped);
  } catch {
    throw ambiguous('its escapes are not UTF-8');
  }
  if (ESCAPED_AGAIN.test(text)) throw ambiguous('it is encoded twice');
  // Many who take a text for a URL cut it off.
  if (text.endsWith(' ')) throw ambiguous('it ends in a space');
  return text;
}

/** Without empty and dot segments (RFC 3986 §5.2.4); both forms have their slashes at the same places. */
function resolved(escaped: string, text: string): NormalPath {
  const sent = escaped.split('/').slice(1);
  const read = text.split('/').slice(1);
  const kept: number[] = [];
  let merged = false;
  let climbed = false;
  const last = read.length - 1;
  for (const [at, segment] of read.entries()) {
    if (segment === '..') {
      climbed = true;
      if (kept.pop() === undefined) throw ambiguous('it leads above the root');
    } else if (segment === '' && at < last) merged = true;
    else if (segment !== '' && segment !== '.') kept.push(at);
  }
  // Whether `..` takes back the empty segment or the one before it, nobody agrees on.
  if (merged && climbed) throw ambiguous('it holds both // and ..');
  const end = kept.length > 0 && ['', '.', '..'].includes(read[last]!) ? '/' : '';
  const joined = (segments: readonly string[]) => `/${kept.map((at) => segments[at]).join('/')}${end}`;
  return { sent: joined(sent), text: joined(read) };
}

function ambiguous(why: string): WeftError {
  return new WeftError('ambiguous_path', `the path can be read in more than one way: ${why}`);
}
