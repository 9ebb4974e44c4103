/**
 * Throws bytes at the HTTP/1.1 engine's readers: sound messages with a few wounds, put together and cut.
 * Four things must hold for every input:
 *
 * Z1  Nothing comes out but messages or a `WeftError`, and no byte outside the given ones is read.
 * Z2  How the bytes are cut on their way changes nothing: smuggling lives on such differences.
 * Z3  What would be written to the next hop is read there as the same message.
 * Z4  A second parser (llhttp) takes what we would write, and reads the same message, with the same end. What
 *     we were given it may refuse (it is stricter about blanks), but if it takes that, it reads the same too.
 *
 *     node test/fuzz/http1.ts [seconds] [seed]
 */
import { pathToFileURL } from 'node:url';
import { llhttpMethods, loadLlhttp, REQUEST } from '../../bench/llhttp.ts';
import { BodyDecoder } from '../../src/agent/http1/body.ts';
import { CHUNK_END, chunkStart, lastChunk } from '../../src/agent/http1/chunk.ts';
import {
  CHUNKED,
  endToEndFields,
  findHeadEnd,
  parseRequestHead,
  parseResponseHead,
  type RequestHead,
} from '../../src/agent/http1/head.ts';
import { WeftError } from '../../src/protocol/errors.ts';
import { type Fields, fieldsText, fieldValue } from '../../src/protocol/fields.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { randomFrom } from './random.ts';

interface Message {
  head: RequestHead;
  body: string;
  trailers: Fields | undefined;
  end: number;
}

/** What a connection made of some bytes: whole messages, then perhaps a refusal. */
interface Reading {
  messages: Message[];
  refused: string | undefined;
}

const PIECES = [
  ...[
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    'POST /x?y HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\n\r\nabcde',
  ],
  ...[
    'PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n',
  ],
  ...['PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX-T: 1\r\n\r\n'],
  ...[
    'GET http://orders/ HTTP/1.1\r\nHost: b\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\n\r\n',
  ],
  ...['GET / HTTP/1.0\r\n\r\n', 'HEAD / HTTP/1.0\r\nConnection: keep-alive\r\nX: \xe4 y\r\nx:\r\n\r\n'],
  ...['OPTIONS * HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n'],
];
const WOUNDS = [
  ...[
    '\r\n',
    '\n',
    '\r',
    ' ',
    '\t',
    '\0',
    ':',
    ',',
    ';',
    '0',
    '\x0b',
    '\x7f',
    '\x80',
    '\xff',
    '\r\n\r\n',
    '\r\n ',
  ],
  ...[
    'Content-Length: 3\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Host: b\r\n',
    'chunked',
    'HTTP/1.1',
    '0\r\n\r\n',
  ],
  ...[
    'Connection: ',
    'close',
    'Content-Length',
    'Transfer-Encoding: ',
    'gzip, ',
    '+',
    '-',
    '0x',
    '_',
    '1f',
    ' : ',
  ],
];

function wounded(random: (below: number) => number): string {
  let text = '';
  for (let count = 1 + random(3); count > 0; count--) text += PIECES[random(PIECES.length)]!;
  for (let count = random(4); count > 0; count--) {
    const at = random(text.length + 1);
    const cut = random(3) === 0 ? random(12) : 0;
    const put = random(4) === 0 ? String.fromCharCode(random(256)) : WOUNDS[random(WOUNDS.length)]!;
    text = text.slice(0, at) + (random(3) === 0 ? '' : put) + text.slice(at + cut);
  }
  return text;
}

/** Reads as a connection does: bytes arrive up to each of `cuts`, and the last of them is the end. */
function read(bytes: Buffer, cuts: number[]): Reading {
  const messages: Message[] = [];
  const decoder = new BodyDecoder('bad_request');
  let message: Message | undefined;
  const sink = {
    bodyData(chunk: Buffer) {
      expect(chunk.length > 0, 'data is never empty');
      message!.body += chunk.toString('latin1');
    },
    bodyEnd(trailers: Fields | undefined) {
      message!.trailers = trailers;
    },
  };
  let at = 0;
  let searched = 0;
  try {
    for (const arrived of cuts) {
      const seen = bytes.subarray(0, arrived);
      while (at < arrived) {
        if (message === undefined) {
          const end = findHeadEnd(seen, at, searched);
          searched = arrived;
          if (end < 0) break;
          message = {
            head: parseRequestHead(seen.toString('latin1', at, end)),
            body: '',
            trailers: undefined,
            end,
          };
          decoder.start(message.head.bodyLength, sink);
          at = end;
        }
        at = decoder.push(seen, at, arrived);
        if (!decoder.done) break;
        message.end = at;
        messages.push(message);
        message = undefined;
        searched = at;
      }
    }
    return { messages, refused: undefined };
  } catch (error) {
    if (!(error instanceof WeftError)) throw error;
    return { messages, refused: error.code };
  }
}

/** The message as the next hop would get it, with its body framed anew. */
function rewritten({ head, body, trailers }: Message): string {
  const chunked = head.bodyLength === CHUNKED;
  const lines = `${fieldsText(endToEndFields(head))}${chunked ? 'transfer-encoding: chunked\r\n' : ''}`;
  const version = head.minor === 0 ? 'HTTP/1.0' : 'HTTP/1.1';
  const framed = body === '' ? '' : `${chunkStart(body.length)}${body}${CHUNK_END}`;
  return `${head.method} ${head.path} ${version}\r\n${lines}\r\n${chunked ? framed + lastChunk(trailers) : body}`;
}

function createSecondOpinion() {
  const methods = new Set(llhttpMethods());
  let fields: Fields = [];
  let body = '';
  let complete = 0;
  const text = (at: number, length: number) =>
    Buffer.from(llhttp.memory.buffer, at, length).toString('latin1');
  const llhttp = loadLlhttp({
    wasm_on_message_begin: () => 0,
    wasm_on_url: () => 0,
    wasm_on_status: () => 0,
    wasm_on_header_field(_parser, at, length) {
      if (complete === 0 && fields.length % 2 === 0) fields.push(text(at, length).toLowerCase());
      return 0;
    },
    wasm_on_header_value(_parser, at, length) {
      if (fields.length % 2 === 1) fields.push(text(at, length));
      return 0;
    },
    wasm_on_headers_complete: () => 0,
    wasm_on_body(_parser, at, length) {
      body += text(at, length);
      return 0;
    },
    wasm_on_message_complete() {
      complete++;
      return 0;
    },
  });
  const base = llhttp.malloc(LIMITS.headBytesMax);

  return (wire: string, { head, body: ours }: Message, mustTake: boolean): void => {
    // It knows a fixed list of methods and two versions, and treats CONNECT and upgrades as the end of HTTP.
    if (!methods.has(head.method) || head.method === 'CONNECT' || head.upgrade !== undefined) return;
    if (!/^[^ ]+ [^ ]+ HTTP\/1\.[01]\r\n/.test(wire)) return;
    fields = [];
    body = '';
    complete = 0;
    new Uint8Array(llhttp.memory.buffer, base).set(Buffer.from(wire, 'latin1'));
    const parser = llhttp.llhttp_alloc(REQUEST);
    const refused = llhttp.llhttp_execute(parser, base, wire.length);
    llhttp.llhttp_free(parser);
    if (refused !== 0 && !mustTake) return;
    expect(refused === 0, `Z4: llhttp refuses it with ${refused}`);
    expect(complete === 1, `Z4: llhttp ends it ${complete} times`);
    expect(body === ours, 'Z4: llhttp reads another body');
    // It leaves blanks after a value to its user, and adds the trailers to the fields.
    const lines = fields.slice(0, head.fields.length).map((text) => text.replace(/[ \t]+$/, ''));
    expect(lines.join('\n') === head.fields.join('\n'), 'Z4: llhttp reads other fields');
  };
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`broken: ${what}`);
}

function same(one: unknown, other: unknown, what: string): void {
  expect(JSON.stringify(one) === JSON.stringify(other), what);
}

/** Without the lines that frame the body: they may change from hop to hop. */
function told({ head, body, trailers }: Message) {
  const { method, path, host, minor, expectContinue } = head;
  return { method, path, host, minor, expectContinue, fields: endToEndFields(head), body, trailers };
}

/**
 * Runs for `seconds`. Returns how many inputs there were, and how many messages were read in them.
 * @throws Error at the first input that breaks a rule; it names the rule, the seed and the input
 */
export function fuzzHttp1(
  seconds: number,
  seed: number,
): { inputs: number; messages: number; refused: number } {
  const random = randomFrom(seed);
  const secondOpinion = createSecondOpinion();
  const counts = { inputs: 0, messages: 0, refused: 0 };
  const until = Date.now() + seconds * 1000;
  while (Date.now() < until) {
    const wire = wounded(random);
    try {
      // In the middle of a larger buffer, as what comes from a socket is.
      const around = Buffer.from(`\r\n\r\n${wire}\r\n\r\n`, 'latin1');
      const bytes = around.subarray(4, 4 + wire.length);
      const reading = read(bytes, [bytes.length]);
      const cuts = Array.from({ length: random(6) }, () => random(bytes.length + 1)).sort((a, b) => a - b);
      same(read(bytes, [...cuts, bytes.length]), reading, `Z2: cut at ${cuts}, it reads otherwise`);
      let start = 0;
      for (const message of reading.messages) {
        if (message.head.method !== 'CONNECT') {
          const next = Buffer.from(rewritten(message), 'latin1');
          const again = read(next, [next.length]);
          expect(
            again.messages.length === 1 && again.messages[0]!.end === next.length,
            'Z3: the next hop reads one',
          );
          secondOpinion(next.toString('latin1'), again.messages[0]!, true);
          same(told(again.messages[0]!), told(message), 'Z3: the next hop reads the same');
        }
        secondOpinion(wire.slice(start, message.end), message, false);
        start = message.end;
      }
      readResponse(wire);
      counts.inputs++;
      counts.messages += reading.messages.length;
      if (reading.refused !== undefined) counts.refused++;
    } catch (error) {
      throw new Error(`seed ${seed}, input ${JSON.stringify(wire)}`, { cause: error });
    }
  }
  return counts;
}

/** The same bytes with a status line before their fields. */
function readResponse(wire: string): void {
  const end = wire.indexOf('\r\n\r\n');
  const lines = wire.slice(wire.indexOf('\r\n') + 2, Math.max(end, 0) + 4);
  try {
    const { fields } = parseResponseHead(`HTTP/1.1 200 OK\r\n${lines}`, 'GET');
    expect(fieldValue(fields, '') === undefined, 'no field without a name');
  } catch (error) {
    if (!(error instanceof WeftError)) throw error;
    expect(error.code === 'upstream_protocol', `a response is never refused as ${error.code}`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [seconds = '10', seed = String(Date.now() % 1_000_000)] = process.argv.slice(2);
  console.log(`seed ${seed}:`, fuzzHttp1(Number(seconds), Number(seed)));
}
