/** A client with full rights on the bus: it records all that passes, and publishes what it likes. */
import { hash } from 'node:crypto';
import { headers, type MsgHdrs } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import type { ExecutionContext } from 'ava';
import { HeaderTemplate, readHeader } from '../../src/protocol/packet.ts';
import { QUEUE } from '../../src/protocol/subjects.ts';

export interface Recorded {
  readonly subject: string;
  readonly reply: string | undefined;
  readonly data: Buffer;
}

export type BusAttacker = Awaited<ReturnType<typeof startBusAttacker>>;

export async function startBusAttacker(t: ExecutionContext, url: string) {
  const wire = await connect({ servers: url, reconnect: false });
  t.teardown(() => wire.close());
  const records: Recorded[] = [];
  const known = new Set<string>();
  let mirroring = false;
  const publish = (subject: string, data: Uint8Array, reply?: string, head?: MsgHdrs) => {
    wire.publish(subject, data, {
      ...(reply === undefined ? {} : { reply }),
      ...(head === undefined ? {} : { headers: head }),
    });
  };
  for (const wildcard of ['weft.>', '$KV.>', '_INBOX.>']) {
    wire.subscribe(wildcard, {
      callback(_error, message) {
        const { subject, reply = '' } = message;
        const record = { subject, reply: reply === '' ? undefined : reply, data: Buffer.from(message.data) };
        // What it publishes itself it hears too.
        const name = `${message.subject} ${hash('sha256', record.data)}`;
        if (known.has(name)) return;
        known.add(name);
        records.push(record);
        if (mirroring && isPacket(record)) publish(record.subject, record.data, record.reply);
      },
    });
  }
  await wire.flush();
  return {
    wire,
    records,
    publish,
    flush: () => wire.flush(),
    /** Says every packet of agents once more the moment that it is heard. */
    mirror(on: boolean) {
      mirroring = on;
    },
    /** Takes requests for a service as one of its agents would. Ends with what it has taken when it has `max`. */
    steal(subject: string, max: number): Promise<readonly Buffer[]> {
      const stolen: Buffer[] = [];
      return new Promise((resolve) => {
        wire.subscribe(subject, {
          queue: QUEUE,
          max,
          callback(_error, { data }) {
            stolen.push(Buffer.from(data));
            if (stolen.length === max) resolve(stolen);
          },
        });
      });
    },
  };
}

/** True for what agents send to each other. */
export function isPacket({ subject, data }: Recorded): boolean {
  return data.length > 0 && /^weft\.[^.]+\.(svc|ins|rx)\./.test(subject);
}

/** The same packet with something of it changed; `random` gives a whole number below the one it is given. */
export type Change = (packet: Recorded, other: Recorded, random: (below: number) => number) => Buffer;

/** How a packet can be changed, and why it is refused then. */
export const CHANGES: readonly (readonly [name: string, change: Change])[] = [
  ['cut', ({ data }, _other, random) => data.subarray(0, random(data.length))],
  ['lengthened', ({ data }, other) => Buffer.concat([data, other.data])],
  [
    'with a changed bit in its header',
    ({ data }, _other, random) => flipped(data, random(headerBytes(data) * 8)),
  ],
  [
    'with a changed bit in what is sealed',
    ({ data }, _other, random) => {
      const start = headerBytes(data) * 8;
      return flipped(data, start + random(data.length * 8 - start));
    },
  ],
  [
    'under the header of another',
    ({ data }, other) =>
      Buffer.concat([other.data.subarray(0, headerBytes(other.data)), data.subarray(headerBytes(data))]),
  ],
  ['of a minute ago', ({ data }) => restamped(data, { sentAtMs: readHeader(data).sentAtMs - 60_000 })],
  ['with the next number', ({ data }) => restamped(data, { counter: readHeader(data).counter + 1 })],
  [
    'of a session that nobody has',
    ({ data }) => restamped(data, { session: 'f'.repeat(16), document: undefined }),
  ],
  [
    'with the introduction of another',
    ({ data }, other) => restamped(data, { document: readHeader(other.data).document }),
  ],
  ['in the name of another', ({ data }, other) => restamped(data, { sender: readHeader(other.data).sender })],
  ['for another', ({ data }, other) => restamped(data, addressOf(other.data))],
];

function headerBytes(data: Buffer): number {
  return readHeader(data).length;
}

function flipped(data: Buffer, bit: number): Buffer {
  const changed = Buffer.from(data);
  changed[bit >> 3]! ^= 1 << (bit & 7);
  return changed;
}

function addressOf(data: Buffer) {
  const { audience, toService, epoch } = readHeader(data);
  return { audience, toService, epoch };
}

function restamped(data: Buffer, change: Partial<ReturnType<typeof readHeader>>): Buffer {
  const header = { ...readHeader(data), ...change };
  const { document, ...context } = header;
  const template = new HeaderTemplate(document === undefined ? context : { ...context, document });
  return Buffer.concat([
    template.stamp(header.sentAtMs, header.counter),
    data.subarray(readHeader(data).length),
  ]);
}

/** Headers as the bus itself, or its services, would set them. */
export function strangeHeaders(): readonly MsgHdrs[] {
  const names = ['Nats-Msg-Id', 'Nats-Service-Error-Code', 'Weft-Proof', 'KV-Operation'];
  const plain = headers();
  for (const name of names) plain.set(name, '503');
  return [
    plain,
    headers(503, 'No Responders'),
    headers(100, 'Idle Heartbeat'),
    headers(408, 'Request Timeout'),
  ];
}
