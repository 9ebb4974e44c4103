import test from 'ava';
import fc from 'fast-check';
import { ERRORS, type ErrorCode, WeftError } from '../../src/protocol/errors.ts';
import {
  FLAG,
  FRAME_HEADER_BYTES,
  FRAME_OVERHEAD_BYTES,
  FrameWriter,
  frameCredit,
  frameOffset,
  frameReset,
  OFFSET_BYTES,
  readFrames,
  TYPE,
} from '../../src/protocol/frames.ts';
import { bytes, latin1, u32, u48 } from './arbitraries.ts';

const streamId = fc.integer({ min: 1, max: 2 ** 32 - 1 });
const side = fc.constantFrom(0, FLAG.OPENER);
const last = fc.constantFrom(0, FLAG.LAST);
const code = fc.constantFrom(...(Object.keys(ERRORS) as ErrorCode[]));
const sentence = fc.stringMatching(/^[ -~]{0,100}$/);

/** One thing to write, and what a visitor must see of it. */
type Sample = { readonly write: (to: FrameWriter) => void; readonly seen: unknown[] };

const sample: fc.Arbitrary<Sample> = fc.oneof(
  fc.tuple(last, streamId, latin1).map(([flag, id, head]) => ({
    write: (to: FrameWriter) => to.text(TYPE.REQUEST, FLAG.OPENER | flag, id, head),
    seen: [TYPE.REQUEST, FLAG.OPENER | flag, id, head],
  })),
  fc.tuple(last, streamId, latin1).map(([flag, id, head]) => ({
    write: (to: FrameWriter) => to.text(TYPE.RESPONSE, flag, id, head),
    seen: [TYPE.RESPONSE, flag, id, head],
  })),
  fc.tuple(side, last, streamId, u48, bytes).map(([from, flag, id, offset, chunk]) => ({
    write: (to: FrameWriter) => to.data(from | flag, id, offset, chunk),
    seen: [TYPE.DATA, from | flag, id, offset, Buffer.from(chunk).toString('latin1')],
  })),
  fc.tuple(side, streamId, u48, latin1).map(([from, id, offset, trailers]) => ({
    write: (to: FrameWriter) => to.end(from, id, offset, trailers),
    seen: [TYPE.END, from, id, offset, trailers],
  })),
  fc.tuple(side, streamId, code, sentence).map(([from, id, error, details]) => ({
    write: (to: FrameWriter) => to.reset(from, id, error, details),
    seen: [TYPE.RESET, from, id, error, details],
  })),
  fc.tuple(side, streamId, u32).map(([from, id, credit]) => ({
    write: (to: FrameWriter) => to.credit(from, id, credit),
    seen: [TYPE.CREDIT, from, id, credit],
  })),
  streamId.map((id) => ({ write: (to: FrameWriter) => to.accept(0, id), seen: [TYPE.ACCEPT, 0, id] })),
);

function read(plain: Buffer): unknown[][] {
  const seen: unknown[][] = [];
  readFrames(plain, {
    frame(type, flags, id, from, start, end) {
      seen.push([type, flags, id, ...payload(type, from, start, end)]);
    },
  });
  return seen;
}

function payload(type: number, plain: Buffer, start: number, end: number): unknown[] {
  if (type === TYPE.DATA || type === TYPE.END) {
    return [frameOffset(plain, start), plain.toString('latin1', start + OFFSET_BYTES, end)];
  }
  if (type === TYPE.CREDIT) return [frameCredit(plain, start)];
  if (type === TYPE.ACCEPT) return [];
  if (type !== TYPE.RESET) return [plain.toString('latin1', start, end)];
  const error = frameReset(plain, start, end);
  return [error.code, error.message];
}

/** A frame as it should not be. */
function raw(type: number, flags: number, id: number, payloadLength: number, payloadBytes = Buffer.alloc(0)) {
  const head = Buffer.alloc(FRAME_HEADER_BYTES);
  head[0] = type;
  head[1] = flags;
  head.writeUInt32BE(id, 2);
  head.writeUInt32BE(payloadLength, 6);
  return Buffer.concat([head, payloadBytes]);
}

test('frames are read as they were written, in order', (t) => {
  const writer = new FrameWriter();
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1, maxLength: 20 }), (samples) => {
      writer.clear();
      for (const { write } of samples) write(writer);
      t.is(writer.bytes().length, writer.length);
      t.deepEqual(
        read(writer.bytes()),
        samples.map(({ seen }) => seen),
      );
    }),
  );
});

test('F1: nothing is visited of a packet that is cut off or broken anywhere', (t) => {
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1, maxLength: 5 }), fc.nat(), (samples, at) => {
      const writer = new FrameWriter();
      const borders = new Set<number>();
      for (const { write } of samples) {
        write(writer);
        borders.add(writer.length);
      }
      const cut = 1 + (at % writer.length);
      if (borders.has(cut)) return;
      let visits = 0;
      const error = t.throws(
        () =>
          readFrames(writer.bytes().subarray(0, cut), {
            frame() {
              visits += 1;
            },
          }),
        { instanceOf: WeftError },
      );
      t.is(error.code, 'stream_protocol');
      t.is(visits, 0);
    }),
  );
});

const BROKEN: [string, Buffer][] = [
  ['no frame at all', Buffer.alloc(0)],
  ['an unknown type', raw(9, 0, 1, 0)],
  ['type 0', raw(0, 0, 1, 0)],
  ['an unknown flag', raw(TYPE.DATA, 4, 1, 6, Buffer.alloc(6))],
  ['stream id 0', raw(TYPE.ACCEPT, 0, 0, 0)],
  ['a length past the end', raw(TYPE.RESPONSE, 0, 1, 1)],
  ['a length of 4 GiB', raw(TYPE.RESPONSE, 0, 1, 0xffffffff)],
  ['bytes after the last frame', Buffer.concat([raw(TYPE.ACCEPT, 0, 1, 0), Buffer.alloc(9)])],
  ['DATA without offset', raw(TYPE.DATA, 0, 1, 5, Buffer.alloc(5))],
  ['END without offset', raw(TYPE.END, 0, 1, 0)],
  ['END that is LAST', raw(TYPE.END, FLAG.LAST, 1, 6, Buffer.alloc(6))],
  ['CREDIT of 5 bytes', raw(TYPE.CREDIT, 0, 1, 5, Buffer.alloc(5))],
  ['ACCEPT with payload', raw(TYPE.ACCEPT, 0, 1, 1, Buffer.alloc(1))],
  ['ACCEPT from the opener', raw(TYPE.ACCEPT, FLAG.OPENER, 1, 0)],
  ['REQUEST from the other side', raw(TYPE.REQUEST, 0, 1, 0)],
  ['RESPONSE from the opener', raw(TYPE.RESPONSE, FLAG.OPENER, 1, 0)],
  ['INFORMATIONAL from the opener', raw(TYPE.INFORMATIONAL, FLAG.OPENER, 1, 0)],
  ['INFORMATIONAL that is LAST', raw(TYPE.INFORMATIONAL, FLAG.LAST, 1, 0)],
];

for (const [what, plain] of BROKEN) {
  test(`${what} is refused`, (t) => {
    const error = t.throws(() => read(plain), { instanceOf: WeftError });
    t.is(error.code, 'stream_protocol');
  });
}

test('a reset with an unknown code says so, and its details hold nothing unprintable', (t) => {
  const writer = new FrameWriter();
  writer.text(TYPE.RESET, 0, 1, 'future_code\nwhat\r\nset-cookie: x');
  t.deepEqual(read(writer.bytes()), [
    [TYPE.RESET, 0, 1, 'stream_protocol', 'reset with unknown code future_code: what??set-cookie: x'],
  ]);
  writer.clear();
  writer.reset(0, 1, 'internal', `Ċé\n${'x'.repeat(9000)}`);
  t.true(writer.length < 1100);
  t.regex(String(read(writer.bytes())[0]![4]), /^\?\?\?x+$/);
});

test('the constants say what a DATA frame takes', (t) => {
  const writer = new FrameWriter();
  writer.data(0, 1, 0, Buffer.alloc(100));
  t.is(writer.length, 100 + FRAME_OVERHEAD_BYTES);
});

test('a writer gives back the memory of a big packet once small ones follow', (t) => {
  const writer = new FrameWriter();
  writer.data(0, 1, 0, Buffer.alloc(1 << 20));
  writer.clear();
  for (let i = 0; i < 1000; i += 1) {
    writer.accept(0, 1);
    writer.clear();
  }
  writer.accept(0, 1);
  t.is(writer.bytes().buffer.byteLength, 4096);
});
