import { isUtf8 } from 'node:buffer';
import { sign } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { createAgentKeys } from '../../src/protocol/agent-keys.ts';
import { WeftError } from '../../src/protocol/errors.ts';
import { evidenceParts, isEvidence, signEvidence } from '../../src/protocol/evidence.ts';
import { checkEvidence, evidenceLine, readEvidenceLine } from '../../src/protocol/evidence-record.ts';
import { evidenceFrameBytes, FLAG, FrameWriter, readFrames, TYPE } from '../../src/protocol/frames.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { bareHeader, HeaderTemplate, readHeader, TAG_BYTES } from '../../src/protocol/packet.ts';
import { createRoot } from '../../src/protocol/root.ts';
import { bytes, counter, label, packetContext, service } from './arbitraries.ts';
import { agentOf, NOW, ROOT, recordOf, request } from './evidence-samples.ts';

const KEYS = createAgentKeys();
const KEY = verificationKey(KEYS.publicKey);
const ROOT_KEY = verificationKey(ROOT);
const FRONT = agentOf('front', ['checkout.default']);

const packet = fc
  .record({ service, subject: service, context: packetContext, counter, frames: bytes })
  .map(({ context, counter: at, frames, ...rest }) => ({
    ...rest,
    header: Buffer.from(new HeaderTemplate(context).stamp(NOW, at)),
    frames: Buffer.from(frames),
  }));

test('what an agent has signed is proven, and nothing that differs from it in any part', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(packet, label, fc.nat(), (signed, mesh, at) => {
        const signature = signEvidence(KEYS.signingKey, mesh, signed);
        const holds = (one: typeof signed, of = mesh) => isEvidence(KEY, of, one, signature);
        const flipped = (part: Buffer) => {
          const other = Buffer.from(part);
          if (other.length === 0) return Buffer.from([at % 256]);
          other[at % other.length]! ^= 1 << (at % 8);
          return other;
        };
        return (
          holds(signed) &&
          !holds(signed, `${mesh}x`) &&
          !holds({ ...signed, service: `x${signed.service}` }) &&
          !holds({ ...signed, subject: `${signed.subject}.x` }) &&
          !holds({ ...signed, header: flipped(signed.header) }) &&
          !holds({ ...signed, frames: flipped(signed.frames) }) &&
          !isEvidence(KEY, mesh, signed, flipped(signature)) &&
          !isEvidence(verificationKey(FRONT.keys.publicKey), mesh, signed, signature)
        );
      }),
      { numRuns: 40 },
    ),
  );
});

test('no part of a packet can be moved into the next one', (t) => {
  const signed = { service: 'a.b', subject: 'c', header: Buffer.from('d'), frames: Buffer.from('e') };
  const signature = signEvidence(KEYS.signingKey, 'm', signed);
  for (const moved of [
    { service: 'a.b\0c', subject: '', header: Buffer.from('d') },
    { service: 'a.b', subject: 'c\0', header: Buffer.from('d') },
  ]) {
    t.false(isEvidence(KEY, 'm', { ...signed, ...moved }, signature));
  }
  t.true(isEvidence(KEY, 'm', signed, signature));
});

test('a header that came with a document is signed as it is without', (t) => {
  const context = {
    sender: 'front',
    session: '0123456789abcdef',
    audience: 'back',
    toService: false,
    epoch: 0,
  };
  const bare = Buffer.from(new HeaderTemplate(context).stamp(NOW, 5));
  const introduced = new HeaderTemplate({ ...context, document: FRONT.introduction }).stamp(NOW, 5);
  const read = readHeader(Buffer.concat([introduced, Buffer.alloc(TAG_BYTES)]));
  t.is(read.document, FRONT.introduction);
  t.deepEqual(bareHeader(read), bare);
});

test('evidence is the first frame of its packet, of no stream, and of something', (t) => {
  const frames = new FrameWriter();
  frames.evidence('orders.default');
  t.is(frames.length, evidenceFrameBytes('orders.default'));
  const evidence = Buffer.from(frames.bytes());
  const rest = request();
  const seen: number[] = [];
  const visitor = { frame: (type: number) => void seen.push(type) };
  readFrames(Buffer.concat([evidence, rest]), visitor);
  t.deepEqual(seen, [TYPE.EVIDENCE, TYPE.REQUEST, TYPE.DATA]);
  const { service: about, frames: following } = evidenceParts(Buffer.concat([evidence, rest]));
  t.is(about, 'orders.default');
  t.deepEqual(following, rest);

  const changed = (at: number, value: number) => {
    const other = Buffer.concat([evidence, rest]);
    other[at] = value;
    return other;
  };
  const broken = [
    evidence,
    Buffer.concat([rest, evidence]),
    Buffer.concat([evidence, evidence, rest]),
    changed(1, FLAG.OPENER),
    changed(1, FLAG.LAST),
    changed(1, FLAG.ONE_WAY | FLAG.LAST),
    changed(1, FLAG.ONE_WAY | FLAG.OPENER),
    changed(5, 1),
    changed(9, 64),
  ];
  for (const plain of broken) t.throws(() => readFrames(plain, visitor), { instanceOf: WeftError });
  t.is(seen.length, 3);
  t.notThrows(() => readFrames(changed(1, FLAG.ONE_WAY), visitor));
  t.throws(() => evidenceParts(changed(74, 0x2e)), { message: 'EVIDENCE names no service' });
});

test('a line says all that was kept, and is proven with the public root alone', (t) => {
  const record = recordOf(FRONT);
  const line = evidenceLine(record);
  t.regex(line, /^[ -~]+\n$/);
  const read = readEvidenceLine(line);
  t.deepEqual(read, record);
  const { header, sender } = checkEvidence(ROOT_KEY, read);
  t.is(sender.agent, 'front');
  t.is(header.sentAtMs, NOW + 1000);
  t.notThrows(() => checkEvidence([verificationKey(createRoot().publicKey), ROOT_KEY], read));
});

test('the longest packet that there can be fits a line that is read', (t) => {
  const record = { ...recordOf(FRONT), introduction: 'x'.repeat(LIMITS.packetHeaderBytesMax) };
  const line = evidenceLine({ ...record, frames: Buffer.alloc(LIMITS.packetBytesMax) });
  t.true(line.length <= LIMITS.evidenceLineBytesMax);
});

test('who did not sign it, or could not then, is named', (t) => {
  const record = recordOf(FRONT);
  const other = agentOf('front', ['checkout.default']);
  const refused = (changed: object, message: RegExp, key = ROOT_KEY) =>
    t.throws(() => checkEvidence(key, { ...record, ...changed }), { instanceOf: WeftError, message });
  refused({ introduction: other.introduction }, /^front has not signed this packet$/);
  refused(
    { introduction: agentOf('back', []).introduction },
    /the packet is of front, and the identity of back/,
  );
  refused(
    { introduction: agentOf('front', [], 'shop', createRoot().seed).introduction },
    /not signed by the root/,
  );
  refused({ introduction: agentOf('front', [], 'other').introduction }, /for no agent of this mesh/);
  refused({}, /not signed by the root/, verificationKey(createRoot().publicKey));
  refused({ mesh: 'other' }, /for no agent of this mesh/);
  refused({ frames: request('GET / orders.default checkout.default -\r\n') }, /has not signed/);
  refused({ service: 'billing.default' }, /has not signed/);
  refused({ subject: 'weft.shop.svc.default.billing' }, /has not signed/);
  refused(recordOf(FRONT, { sentAtMs: NOW + 2 * 3_600_000 }), /expired/);
  refused(recordOf(FRONT, { sentAtMs: NOW - 3_600_000 }), /not valid yet/);
  refused({ header: Buffer.concat([record.header, Buffer.alloc(1)]) }, /not one without a document/);
  refused({ header: Buffer.alloc(0) }, /too short/);
});

test('whatever a line holds, it is a record or it is refused with the reason', (t) => {
  const line = evidenceLine(recordOf(FRONT));
  const fields = JSON.parse(line);
  const holds = (text: string) => {
    try {
      checkEvidence(ROOT_KEY, readEvidenceLine(text));
      return true;
    } catch (error) {
      if (!(error instanceof WeftError)) throw error;
      return false;
    }
  };
  t.true(holds(line));
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '1',
    '{}',
    '[['.repeat(100_000),
    `${' '.repeat(600_000)}${line}`,
  ]) {
    t.false(holds(text), text.slice(0, 20));
  }
  for (const name of Object.keys(fields)) {
    const { [name]: _gone, ...rest } = fields;
    t.false(holds(JSON.stringify(rest)), name);
    for (const value of [2, null, '', 'é', [], {}, `${fields[name]} `, `${fields[name]}=`, '\u0000']) {
      t.false(holds(JSON.stringify({ ...fields, [name]: value })), `${name}: ${JSON.stringify(value)}`);
    }
  }
  t.notThrows(() => fc.assert(fc.property(fc.json(), (text) => !holds(text))));
});

test('what is signed is no text, so that nothing else that the key signs is taken for evidence', (t) => {
  const signed = { service: 'a.b', subject: 'c', header: Buffer.from('d'), frames: Buffer.from('e') };
  const bytesOf = (first: number) => Buffer.from([first, ...Buffer.from('weft evidence 1\0m\0a.b\0c\0de')]);
  const signature = sign(null, bytesOf(0xff), KEYS.signingKey);
  t.true(isEvidence(KEY, 'm', signed, signature));
  t.false(isUtf8(bytesOf(0xff)));
});
