/** What the property tests of the protocol are made of. */
import fc from 'fast-check';
import type { PacketContext } from '../../src/protocol/packet.ts';

export const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?$/);
export const service = fc.tuple(label, label).map(([name, namespace]) => `${name}.${namespace}`);
export const session = fc.stringMatching(/^[0-9a-f]{16}$/);
export const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
export const u48 = fc.integer({ min: 0, max: 2 ** 48 - 1 });
export const counter = fc.integer({ min: 1, max: 2 ** 48 - 1 });
export const bytes = fc.uint8Array({ maxLength: 2000 });
/** Every string that is one byte per character. */
export const latin1 = fc.uint8Array({ maxLength: 500 }).map((all) => Buffer.from(all).toString('latin1'));

export const packetContext: fc.Arbitrary<PacketContext> = fc.oneof(
  fc.record({ sender: label, session, audience: service, toService: fc.constant(true), epoch: u32 }),
  fc.record({
    sender: label,
    session,
    audience: label,
    toService: fc.constant(false),
    epoch: fc.constant(0),
  }),
);
