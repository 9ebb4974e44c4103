/**
 * Throws bytes at everything that reads from the bus: random ones, and valid ones with a few of them changed,
 * cut off, repeated or put together. The one thing that may come out is an answer or a `WeftError`.
 *
 *     node test/fuzz/packets.ts [seconds] [seed]
 */
import { generateKeyPairSync } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { createAgentKeys } from '../../src/protocol/agent-keys.ts';
import { WeftError } from '../../src/protocol/errors.ts';
import {
  FrameWriter,
  frameCredit,
  frameOffset,
  frameReset,
  readFrames,
  TYPE,
} from '../../src/protocol/frames.ts';
import { issueIdentity } from '../../src/protocol/identity.ts';
import { introduction, readIntroduction, stateSession } from '../../src/protocol/introduction.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { HeaderTemplate, readHeader, TAG_BYTES } from '../../src/protocol/packet.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { derivePacketKey, openPacket, sealPacket } from '../../src/protocol/seal.ts';
import { serviceSubject } from '../../src/protocol/subjects.ts';
import { randomFrom } from './random.ts';

/** What lies around a fuzzed buffer: whatever is read of it was read out of bounds. */
const CANARY = 0xa5;
const NOW = 1_800_000_000_000;
const SUBJECT = serviceSubject('shop', 'orders.default');
const SESSION = '0123456789abcdef';

/** What one decoder is fed: valid samples to start from, and the call itself. */
interface Target {
  readonly name: string;
  readonly samples: readonly Buffer[];
  readonly decode: (bytes: Buffer) => void;
}

function targets(): Target[] {
  const root = readRoot(createRoot().seed);
  const rootKey = verificationKey(root.publicKey);
  const web = generateKeyPairSync('x25519');
  const orders = generateKeyPairSync('x25519');
  const keys = createAgentKeys();
  const identity = issueIdentity(root, 'shop', {
    agent: 'web-1',
    signingKey: keys.publicKey,
    boxKey: keys.boxKey,
    workloads: new Set(['checkout.default']),
    issuedAtMs: NOW,
    expiresAtMs: NOW + 1000,
  });
  const document = introduction(identity, stateSession(keys.signingKey, 'web-1', web.publicKey));
  const context = {
    sender: 'web-1',
    session: SESSION,
    audience: 'orders.default',
    toService: true,
    epoch: 1,
  };
  const key = derivePacketKey({
    ...context,
    mesh: 'shop',
    privateKey: web.privateKey,
    publicKey: orders.publicKey,
  });
  const frames = frameSamples();
  const seal = (template: HeaderTemplate, plain: Buffer) =>
    sealPacket(key, template.stamp(NOW, 7), SUBJECT, 7, plain);
  const packets = frames.flatMap((plain) => [
    seal(new HeaderTemplate(context), plain),
    seal(new HeaderTemplate({ ...context, document }), plain),
  ]);
  const genuine = new Set(packets.map((packet) => packet.toString('latin1')));

  return [
    { name: 'frames', samples: frames, decode: decodeFrames },
    {
      name: 'packet',
      samples: packets,
      decode(bytes) {
        const header = readHeader(bytes);
        expect(header.length + TAG_BYTES <= bytes.length, 'the header ends within the packet');
        if (header.document !== undefined && header.document !== document) {
          readIntroduction(rootKey, 'shop', header.document, NOW);
          throw new Error('a forged document was taken');
        }
        decodeFrames(openPacket(key, bytes, header.length, SUBJECT, header.counter));
        expect(genuine.has(bytes.toString('latin1')), 'a forged packet does not open');
      },
    },
    {
      name: 'introduction',
      samples: [Buffer.from(document)],
      decode(bytes) {
        const text = bytes.toString('latin1');
        readIntroduction(rootKey, 'shop', text, NOW);
        expect(text === document, 'a forged document is not taken');
      },
    },
  ];
}

function frameSamples(): Buffer[] {
  const writer = new FrameWriter();
  const samples: Buffer[] = [];
  const keep = () => {
    samples.push(Buffer.from(writer.bytes()));
  };
  writer.text(TYPE.REQUEST, 2, 1, 'POST / orders.default checkout.default 1000\r\nhost: orders\r\n');
  keep();
  writer.data(2, 1, 0, Buffer.from('a body'));
  writer.end(2, 1, 6, 'x-sum: 1\r\n');
  keep();
  writer.clear();
  writer.accept(0, 1);
  writer.credit(0, 1, 65_536);
  writer.text(TYPE.INFORMATIONAL, 0, 1, '103 Early Hints\r\n');
  writer.text(TYPE.RESPONSE, 1, 1, '200 OK\r\ncontent-length: 0\r\n');
  writer.reset(0, 2, 'upstream_closed', 'after 12 bytes');
  keep();
  return samples;
}

function decodeFrames(plain: Buffer): void {
  let at = 0;
  readFrames(plain, {
    frame(type, _flags, streamId, from, start, end) {
      expect(start >= at && end >= start && end <= plain.length, 'a frame lies within its packet');
      expect(streamId > 0, 'a stream has an id');
      at = end;
      if (type === TYPE.DATA || type === TYPE.END) frameOffset(from, start);
      else if (type === TYPE.CREDIT) frameCredit(from, start);
      else if (type === TYPE.RESET)
        expect(frameReset(from, start, end) instanceof WeftError, 'a reset is an error');
    },
  });
  expect(at === plain.length, 'every byte belongs to a frame');
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`broken: ${what}`);
}

/** A new input: a sample with a few wounds, or noise. */
function mutated(samples: readonly Buffer[], random: (below: number) => number): Buffer {
  if (random(20) === 0) return Buffer.from(Array.from({ length: random(200) }, () => random(256)));
  let bytes = Buffer.from(samples[random(samples.length)]!);
  for (let wounds = random(4); wounds > 0; wounds -= 1) {
    const at = random(bytes.length + 1);
    switch (random(6)) {
      case 0:
        bytes = bytes.subarray(0, at);
        break;
      case 1:
        bytes = Buffer.concat([bytes, samples[random(samples.length)]!.subarray(0, random(300))]);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random(8))]);
        break;
      case 3:
        if (at < bytes.length) bytes[at] = [0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x2e, 0x20][random(8)]!;
        break;
      default:
        if (at < bytes.length) bytes[at]! ^= 1 << random(8);
    }
  }
  return bytes;
}

/** In the middle of a larger buffer, as what comes from a socket is. */
function surrounded(bytes: Buffer): Buffer {
  const around = Buffer.alloc(bytes.length + 64, CANARY);
  bytes.copy(around, 32);
  return around.subarray(32, 32 + bytes.length);
}

/**
 * Runs for `seconds`. Returns how many inputs each decoder got and how many of them it took.
 * @throws Error at the first input that breaks a decoder; it names the decoder, the seed and the input
 */
export function fuzzPackets(
  seconds: number,
  seed: number,
): Record<string, { inputs: number; taken: number }> {
  const random = randomFrom(seed);
  const all = targets();
  const counts = Object.fromEntries(all.map(({ name }) => [name, { inputs: 0, taken: 0 }]));
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    for (const target of all) {
      const count = counts[target.name]!;
      for (let round = 0; round < 50; round += 1) {
        const bytes = surrounded(mutated(target.samples, random));
        count.inputs += 1;
        try {
          target.decode(bytes);
          count.taken += 1;
        } catch (cause) {
          if (cause instanceof WeftError) continue;
          throw new Error(`${target.name}, seed ${seed}: ${bytes.toString('hex')}`, { cause });
        }
      }
    }
  }
  return counts;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31);
  console.log(`seed ${seed}`);
  console.table(fuzzPackets(Number(process.argv[2] ?? 30), seed));
}
