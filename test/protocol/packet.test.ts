import test from 'ava';
import fc from 'fast-check';
import { WeftError } from '../../src/protocol/errors.ts';
import { HeaderTemplate, readHeader, TAG_BYTES } from '../../src/protocol/packet.ts';
import { bytes, counter, packetContext, u48 } from './arbitraries.ts';

const jws = fc.stringMatching(/^[A-Za-z0-9_-]{1,300}\.[A-Za-z0-9_-]{1,300}\.[A-Za-z0-9_-]{1,86}$/);
const document = fc.option(fc.tuple(jws, jws).map((two) => two.join('~')));

const CONTEXT = {
  sender: 'web-1',
  session: '0123456789abcdef',
  audience: 'orders.default',
  toService: true,
  epoch: 3,
} as const;

function packetOf(header: Uint8Array, sealed = new Uint8Array(TAG_BYTES)): Buffer {
  return Buffer.concat([header, sealed]);
}

test('a header is read as it was stamped', (t) => {
  fc.assert(
    fc.property(packetContext, document, u48, counter, bytes, (context, jws, sentAtMs, number, body) => {
      const template = new HeaderTemplate({ ...context, ...(jws === null ? {} : { document: jws }) });
      template.stamp(1, 1);
      const header = template.stamp(sentAtMs, number);
      const sealed = Buffer.concat([body, Buffer.alloc(TAG_BYTES)]);
      t.deepEqual(readHeader(new Uint8Array(packetOf(header, sealed))), {
        ...context,
        sentAtMs,
        counter: number,
        document: jws ?? undefined,
        length: header.length,
      });
      t.is(template.length, header.length);
    }),
  );
});

test('the bytes of a header are those of the wire format', (t) => {
  const header = new HeaderTemplate({ ...CONTEXT, document: 'a.b.c~d.e.f' }).stamp(
    0x010203040506,
    0x0a0b0c0d0e0f,
  );
  t.is(
    header.toString('latin1'),
    '\x01\x03\x01\x02\x03\x04\x05\x06\x0a\x0b\x0c\x0d\x0e\x0f\x00\x00\x00\x03' +
      '\x01\x23\x45\x67\x89\xab\xcd\xef\x05web-1\x0eorders.default\x00\x0ba.b.c~d.e.f',
  );
});

test('a packet cut off anywhere in its header or tag is refused', (t) => {
  const packet = packetOf(new HeaderTemplate({ ...CONTEXT, document: 'a.b.c~d.e.f' }).stamp(1, 1));
  for (let length = 0; length < packet.length; length += 1) {
    const error = t.throws(() => readHeader(packet.subarray(0, length)), { instanceOf: WeftError });
    t.is(error.code, 'stream_protocol');
  }
  t.notThrows(() => readHeader(packet));
});

test('a header is read within its own bytes, not those around it', (t) => {
  const packet = packetOf(new HeaderTemplate(CONTEXT).stamp(1, 1));
  const around = Buffer.concat([Buffer.alloc(7, 0xff), packet, Buffer.alloc(64, 0x61)]);
  const view = new Uint8Array(around.buffer, around.byteOffset + 7, packet.length);
  t.is(readHeader(view).audience, 'orders.default');
  t.throws(() => readHeader(view.subarray(0, packet.length - 1)), { instanceOf: WeftError });
});

function changed(at: number, value: number, template = new HeaderTemplate(CONTEXT)): Buffer {
  const packet = packetOf(template.stamp(1, 1));
  packet[at] = value;
  return packet;
}

const AGENT = { ...CONTEXT, audience: 'web-2', toService: false, epoch: 0 };

const BROKEN: [string, Buffer][] = [
  ['another version', changed(0, 2)],
  ['an unknown flag', changed(1, 4)],
  ['counter 0', changed(13, 0)],
  ['a sender that is no label', changed(27, 0x2e)],
  ['an upper-case sender', changed(27, 0x57)],
  ['an empty sender', changed(26, 0)],
  ['a service without namespace', changed(39, 0x61)],
  ['a service addressed as an agent', changed(1, 0)],
  ['an agent addressed as a service', changed(1, 1, new HeaderTemplate(AGENT))],
  ['an agent with an epoch', changed(17, 1, new HeaderTemplate(AGENT))],
  [
    'a document that is one JWS only',
    packetOf(new HeaderTemplate({ ...CONTEXT, document: 'a.b.c' }).stamp(1, 1)),
  ],
  ['a document that is no JWS', packetOf(new HeaderTemplate({ ...CONTEXT, document: 'a.b c' }).stamp(1, 1))],
  ['an empty document', packetOf(new HeaderTemplate({ ...CONTEXT, document: '' }).stamp(1, 1))],
];

for (const [what, packet] of BROKEN) {
  test(`${what} is refused`, (t) => {
    const error = t.throws(() => readHeader(packet), { instanceOf: WeftError });
    t.is(error.code, 'stream_protocol');
  });
}
