/** What each request of the crowd is: a pure function of (seed, number), so that both ends know it. */

export interface Plan {
  readonly number: number;
  readonly method: string;
  /** Lines `x-…` in their order, some repeated. */
  readonly fields: readonly string[];
  readonly request: Message;
  readonly response: Message;
  readonly status: number;
  /** Who breaks it off, and after how many bytes of which body. */
  readonly broken:
    | undefined
    | {
        readonly by: 'caller' | 'application';
        readonly where: 'request' | 'response';
        readonly after: number;
      };
}

export interface Message {
  /** Where its bytes start in `PATTERN`. */
  readonly from: number;
  readonly bytes: number;
  readonly chunked: boolean;
}

const MiB = 1024 * 1024;
const BODY_MAX = 5 * MiB;
const METHODS = ['GET', 'GET', 'GET', 'POST', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'REPORT'];
const BODILESS = new Set(['GET', 'HEAD', 'OPTIONS']);
const STATUSES = [200, 200, 200, 201, 404, 500, 204];
/** Values that a careless proxy would change: 8-bit, inner blanks, empty, long. */
const VALUES = ['plain', 'two  blanks', '', 'caf\xe9 \xff', 'a,b;q="\\"', 'v'.repeat(900), '{"json": [1]}'];

/** Bodies are pieces of this: no two places in it look alike. */
export const PATTERN = pattern(BODY_MAX + 64 * 1024);

export function planOf(seed: number, number: number): Plan {
  const random = generator(seed * 100_003 + number);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const method = pick(METHODS);
  const status = pick(STATUSES);
  const request = message(random, BODILESS.has(method));
  const response = message(random, method === 'HEAD' || status === 204);
  const fields: string[] = [];
  for (let lines = Math.floor(random() * 12); lines > 0; lines--) {
    fields.push(`x-${pick(['a', 'b', 'c', 'long-name-of-a-field'])}`, pick(VALUES));
  }
  return { number, method, fields, request, response, status, broken: breakOf(random, request, response) };
}

function message(random: () => number, none: boolean): Message {
  const kind = random();
  const most = kind < 0.8 ? 4096 : kind < 0.95 ? 64 * 1024 : kind < 0.99 ? MiB : BODY_MAX;
  const bytes = Math.floor(random() * most);
  const from = Math.floor(random() * 64 * 1024);
  return { from, bytes: none ? 0 : bytes, chunked: !none && random() < 0.5 };
}

function breakOf(random: () => number, request: Message, response: Message): Plan['broken'] {
  const kind = random();
  const share = random();
  if (kind < 0.04 && request.bytes > 0) {
    return { by: 'caller', where: 'request', after: Math.floor(share * request.bytes) };
  }
  if (kind < 0.1) return { by: 'caller', where: 'response', after: Math.floor(share * response.bytes) };
  if (kind < 0.12 && response.bytes > 1) {
    return { by: 'application', where: 'response', after: Math.floor(share * response.bytes) };
  }
  return undefined;
}

function pattern(bytes: number): Buffer {
  const random = generator(1);
  const words = new Uint32Array(bytes / 4);
  for (let at = 0; at < words.length; at++) words[at] = Math.floor(random() * 2 ** 32);
  return Buffer.from(words.buffer);
}

/** mulberry32: small, and good enough to choose tests. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
