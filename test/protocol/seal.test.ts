import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { WeftError } from '../../src/protocol/errors.ts';
import { HeaderTemplate, readHeader, TAG_BYTES } from '../../src/protocol/packet.ts';
import { derivePacketKey, openPacket, type PacketKeyContext, sealPacket } from '../../src/protocol/seal.ts';
import { bytes, counter } from './arbitraries.ts';

const CONTEXT = {
  mesh: 'shop',
  sender: 'web-1',
  session: '0123456789abcdef',
  audience: 'orders.default',
  toService: true,
  epoch: 3,
} as const;
const SUBJECT = 'weft.shop.svc.default.orders';

const web = generateKeyPairSync('x25519');
const orders = generateKeyPairSync('x25519');

function sendingKey(changes: Partial<PacketKeyContext> = {}) {
  return derivePacketKey({ ...CONTEXT, privateKey: web.privateKey, publicKey: orders.publicKey, ...changes });
}

const receivingKey = derivePacketKey({
  ...CONTEXT,
  privateKey: orders.privateKey,
  publicKey: web.publicKey,
});

const header = new HeaderTemplate(CONTEXT);

test('what one side seals, the other opens', (t) => {
  const key = sendingKey();
  fc.assert(
    fc.property(counter, bytes, (number, plain) => {
      const packet = sealPacket(key, header.stamp(5, number), SUBJECT, number, plain);
      t.is(packet.length, header.length + plain.length + TAG_BYTES);
      const opened = openPacket(receivingKey, new Uint8Array(packet), header.length, SUBJECT, number);
      t.deepEqual(opened, Buffer.from(plain));
    }),
  );
});

test('a packet of which any bit is changed does not open', (t) => {
  const packet = sealPacket(sendingKey(), header.stamp(5, 7), SUBJECT, 7, Buffer.from('frames'));
  for (let bit = 0; bit < packet.length * 8; bit += 1) {
    const forged = Buffer.from(packet);
    forged[bit >>> 3]! ^= 1 << (bit & 7);
    const error = t.throws(() => openPacket(receivingKey, forged, header.length, SUBJECT, 7), {
      instanceOf: WeftError,
    });
    t.is(error.code, 'denied');
  }
});

test('a packet opens on no other subject, with no other counter and cut off nowhere', (t) => {
  const packet = sealPacket(sendingKey(), header.stamp(5, 7), SUBJECT, 7, Buffer.from('frames'));
  const refused = { instanceOf: WeftError };
  t.throws(() => openPacket(receivingKey, packet, header.length, `${SUBJECT}.x`, 7), refused);
  t.throws(() => openPacket(receivingKey, packet, header.length, SUBJECT, 8), refused);
  for (let length = 0; length < packet.length; length += 1) {
    t.throws(() => openPacket(receivingKey, packet.subarray(0, length), header.length, SUBJECT, 7), refused);
  }
});

test('a key is for one mesh, sender, session, audience, kind of audience and epoch', (t) => {
  const changes: Partial<PacketKeyContext>[] = [
    {},
    { mesh: 'other' },
    { sender: 'web-2' },
    { session: 'fedcba9876543210' },
    { audience: 'orders.other' },
    { toService: false },
    { epoch: 4 },
    { publicKey: web.publicKey },
  ];
  const keys = new Set(changes.map((change) => sendingKey(change).export().toString('hex')));
  t.is(keys.size, changes.length);
  t.is(receivingKey.export().toString('hex'), sendingKey().export().toString('hex'));
});

test('a byte cannot move from the subject into the header: the header says where it ends', (t) => {
  const packet = sealPacket(sendingKey(), header.stamp(5, 7), SUBJECT, 7, Buffer.alloc(0));
  const grown = Buffer.concat([
    packet.subarray(0, header.length),
    Buffer.from('w'),
    packet.subarray(header.length),
  ]);
  const { length } = readHeader(grown);
  t.is(length, header.length);
  t.throws(() => openPacket(receivingKey, grown, length, SUBJECT.slice(1), 7), { instanceOf: WeftError });
});

test('no key is agreed with a public key that makes every secret the same', (t) => {
  for (const point of [Buffer.alloc(32), Buffer.concat([Buffer.from([1]), Buffer.alloc(31)])]) {
    const x = point.toString('base64url');
    const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' });
    const error = t.throws(() => sendingKey({ publicKey }), { instanceOf: WeftError });
    t.is(error.code, 'denied');
  }
});
