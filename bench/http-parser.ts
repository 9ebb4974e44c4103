/**
 * Our head parser against llhttp through WebAssembly (the build that undici carries), for the whole job of a
 * proxy: bytes of a head in, checked head and end-to-end fields out. Prints nanoseconds per head, and the
 * encoding and decoding of heads inside frames. Run: node bench/http-parser.ts
 *
 * llhttp gets the fairest shape found: one copy into its memory, one latin1 string per head, slices of it
 * for names and values, and then the same passes over the fields that our parser needs after its own. The two
 * cost the same within a few per cent. What keeps llhttp out is what it does: it refuses every method that is
 * not on its list, and takes HTTP/0.9, HTTP/2.0, doubled spaces, fragments and chunk extensions of any length.
 */
import { connectionTokens, passableUpgrade } from '../src/agent/http1/connection-field.ts';
import { controlLines, framedLength } from '../src/agent/http1/control-lines.ts';
import { endToEndFields, findHeadEnd, parseRequestHead, parseResponseHead } from '../src/agent/http1/head.ts';
import { parseTarget } from '../src/agent/http1/request-target.ts';
import { isAuthority } from '../src/protocol/authority.ts';
import type { Fields } from '../src/protocol/fields.ts';
import {
  decodeRequestHead,
  decodeResponseHead,
  encodeRequestHead,
  encodeResponseHead,
} from '../src/protocol/head.ts';
import { type Llhttp, llhttpMethods, loadLlhttp, REQUEST, RESPONSE } from './llhttp.ts';

const ROUNDS = 120;
const HEADS_PER_ROUND = 5_000;

const LINES = [
  'Host: orders.default:15001',
  'Connection: keep-alive',
  'Content-Length: 0',
  'Accept: */*',
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36',
  'Accept-Encoding: gzip, deflate, br',
  'Content-Type: application/json; charset=utf-8',
  'Authorization: Bearer 0123456789abcdefghijklmnopqrstuvwxyz0123456789',
  'Cache-Control: no-cache',
  'X-Request-Id: 7f0c2f9a-65c1-4c3f-8e1b-0d2f5a1b9c77',
  'Accept-Language: en-GB,en;q=0.9,de;q=0.8',
  'traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
];

const head = (start: string, count: number): Buffer =>
  Buffer.from(`${start}\r\n${LINES.slice(0, count).join('\r\n')}\r\n\r\n`, 'latin1');

function createLlhttp(kind: number) {
  const methods = llhttpMethods();
  let text = '';
  let base = 0;
  let startText = '';
  let urlAt = 0;
  let status = 0;
  let minor: 0 | 1 = 1;
  let fields: Fields = [];
  const slice = (at: number, length: number): string => text.slice(at - base, at - base + length);
  const llhttp: Llhttp = loadLlhttp({
    wasm_on_message_begin: () => 0,
    wasm_on_url: (_p: number, at: number, length: number) => {
      startText = slice(at, length);
      urlAt = at - base;
      return 0;
    },
    wasm_on_status: (_p: number, at: number, length: number) => {
      startText = slice(at, length);
      return 0;
    },
    wasm_on_header_field: (_p: number, at: number, length: number) => {
      fields.push(slice(at, length).toLowerCase());
      return 0;
    },
    wasm_on_header_value: (_p: number, at: number, length: number) => {
      fields.push(slice(at, length));
      return 0;
    },
    wasm_on_headers_complete: (p: number, code: number) => {
      status = code;
      minor = llhttp.llhttp_get_http_minor(p) as 0 | 1;
      return 0;
    },
    wasm_on_body: () => 0,
    wasm_on_message_complete: () => 0,
  });
  const parser = llhttp.llhttp_alloc(kind);
  base = llhttp.malloc(65_536);
  const memory = new Uint8Array(llhttp.memory.buffer, base, 65_536);

  return (bytes: Buffer): unknown => {
    text = bytes.toString('latin1');
    fields = [];
    memory.set(bytes);
    const error = llhttp.llhttp_execute(parser, base, bytes.length);
    if (error !== 0) throw new Error(`llhttp error ${error}`);
    const lines = controlLines(fields);
    const bodyLength = framedLength(lines, minor, 'bad_request', 'bad_request');
    const connection =
      lines.connection === undefined ? undefined : connectionTokens(lines.connection, 'bad_request');
    const upgrade = passableUpgrade(lines.upgrade, connection);
    const keepAlive = connection === undefined || !connection.includes('close');
    const { hopByHop } = lines;
    if (kind === RESPONSE) {
      const reason = startText;
      return endToEndFields({
        minor,
        fields,
        bodyLength,
        keepAlive,
        upgrade,
        connection,
        hopByHop,
        status,
        reason,
      });
    }
    const method = methods[llhttp.llhttp_get_method(parser)]!;
    const target = startText;
    if (urlAt !== method.length + 1) throw new Error('spaces in the request line');
    if (lines.hosts !== 1 || !isAuthority(lines.host!)) throw new Error('host');
    const { authority, path } = parseTarget(method, target);
    const host = authority ?? lines.host!;
    const expectContinue = lines.expect !== undefined;
    return endToEndFields({
      minor,
      fields,
      bodyLength,
      keepAlive,
      upgrade,
      connection,
      hopByHop,
      method,
      target,
      path,
      host,
      expectContinue,
    });
  };
}

const own = (kind: number) => (bytes: Buffer) => {
  const text = bytes.toString('latin1', 0, findHeadEnd(bytes, 0, 0));
  return endToEndFields(kind === REQUEST ? parseRequestHead(text) : parseResponseHead(text, 'GET'));
};

/** Keeps results alive, so that the optimiser cannot drop the work. */
let sink: unknown;

/** Median over the second half of the rounds; the candidates take turns, because the machine drifts. */
function compare(jobs: Record<string, () => unknown>): Record<string, number> {
  const times: Record<string, number[]> = {};
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, job] of Object.entries(jobs)) {
      const start = process.hrtime.bigint();
      for (let n = 0; n < HEADS_PER_ROUND; n++) sink = job();
      times[name] ??= [];
      times[name].push(Number(process.hrtime.bigint() - start) / HEADS_PER_ROUND);
    }
  }
  const medians = Object.entries(times).map(([name, all]) => {
    const warm = all.slice(ROUNDS / 2).sort((a, b) => a - b);
    return [name, warm[warm.length >> 1]!] as const;
  });
  return Object.fromEntries(medians);
}

const nanos = (value: number): string => value.toFixed(0).padStart(7);

console.log('head                 own ns  llhttp ns  own/llhttp');
for (const [kind, start, word] of [
  [REQUEST, 'GET /api/orders/4711?expand=lines HTTP/1.1', 'request'],
  [RESPONSE, 'HTTP/1.1 200 OK', 'response'],
] as const) {
  const llhttp = createLlhttp(kind);
  for (const count of [4, 12]) {
    const bytes = head(start, count);
    const { ours, theirs } = compare({ ours: () => own(kind)(bytes), theirs: () => llhttp(bytes) }) as {
      ours: number;
      theirs: number;
    };
    const name = `${word}, ${count} lines`.padEnd(20);
    console.log(`${name}${nanos(ours)}    ${nanos(theirs)}  ${(ours / theirs).toFixed(2).padStart(10)}`);
  }
}

console.log('\ninside frames      encode ns  decode ns');
for (const count of [4, 12]) {
  const fields = endToEndFields(parseRequestHead(head('GET / HTTP/1.1', count).toString('latin1')));
  const request = {
    method: 'GET',
    target: '/api/orders/4711?expand=lines',
    service: 'orders.default',
    caller: 'checkout.default',
    deadlineMs: 14_998,
    fields,
  };
  const response = { status: 200, reason: 'OK', fields };
  const requestBytes = Buffer.from(encodeRequestHead(request), 'latin1');
  const responseBytes = Buffer.from(encodeResponseHead(response), 'latin1');
  const room = Buffer.alloc(65_536);
  const times = compare({
    encodeRequest: () => room.write(encodeRequestHead(request), 0, 'latin1'),
    decodeRequest: () => decodeRequestHead(requestBytes.toString('latin1')),
    encodeResponse: () => room.write(encodeResponseHead(response), 0, 'latin1'),
    decodeResponse: () => decodeResponseHead(responseBytes.toString('latin1')),
  });
  console.log(
    `request, ${count} lines`.padEnd(19),
    nanos(times.encodeRequest!),
    '  ',
    nanos(times.decodeRequest!),
  );
  console.log(
    `response, ${count} lines`.padEnd(19),
    nanos(times.encodeResponse!),
    '  ',
    nanos(times.decodeResponse!),
  );
}
if (sink === undefined) throw new Error('nothing was measured');
