/** Signed packets as agents keep them. */
import { generateKeyPairSync } from 'node:crypto';
import { createAgentKeys } from '../../src/protocol/agent-keys.ts';
import { type SignedPacket, signEvidence } from '../../src/protocol/evidence.ts';
import type { EvidenceRecord } from '../../src/protocol/evidence-record.ts';
import { FLAG, FrameWriter, TYPE } from '../../src/protocol/frames.ts';
import { issueIdentity } from '../../src/protocol/identity.ts';
import { introduction, stateSession } from '../../src/protocol/introduction.ts';
import { HeaderTemplate, type PacketContext } from '../../src/protocol/packet.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';

export const NOW = 1_800_000_000_000;
const HOUR_MS = 3_600_000;

export const { seed: SEED, publicKey: ROOT } = createRoot();

/** An agent that may speak and serve for `workloads`, for an hour from NOW on. */
export function agentOf(agent: string, workloads: readonly string[], mesh = 'shop', seed = SEED) {
  const keys = createAgentKeys();
  const identity = issueIdentity(readRoot(seed), mesh, {
    agent,
    signingKey: keys.publicKey,
    boxKey: keys.boxKey,
    workloads: new Set(workloads),
    issuedAtMs: NOW,
    expiresAtMs: NOW + HOUR_MS,
  });
  const { publicKey } = generateKeyPairSync('x25519');
  return {
    agent,
    mesh,
    keys,
    introduction: introduction(identity, stateSession(keys.signingKey, agent, publicKey)),
  };
}

export type SampleAgent = ReturnType<typeof agentOf>;

export interface Sample {
  readonly frames?: Buffer;
  readonly service?: string;
  readonly subject?: string;
  readonly sentAtMs?: number;
  readonly counter?: number;
  readonly context?: Partial<PacketContext>;
}

/** What that agent has signed. */
export function recordOf(
  { agent, mesh, keys, introduction: shown }: SampleAgent,
  sample: Sample = {},
): EvidenceRecord {
  const { frames = request(), service = 'orders.default', subject = 'weft.shop.svc.default.orders' } = sample;
  const { sentAtMs = NOW + 1000, counter = 1, context = {} } = sample;
  const header = new HeaderTemplate({
    sender: agent,
    session: '0123456789abcdef',
    audience: 'orders.default',
    toService: true,
    epoch: 1,
    ...context,
  }).stamp(sentAtMs, counter);
  const packet: SignedPacket = { service, subject, header, frames };
  return { ...packet, mesh, introduction: shown, signature: signEvidence(keys.signingKey, mesh, packet) };
}

export function request(
  head = 'POST /pay orders.default checkout.default 15000\r\nhost: orders\r\n',
  body = 'twelve bytes',
): Buffer {
  const frames = new FrameWriter();
  frames.text(TYPE.REQUEST, FLAG.OPENER, 7, head);
  frames.data(FLAG.OPENER | FLAG.LAST, 7, 0, Buffer.from(body));
  return Buffer.from(frames.bytes());
}

export function response(head = '201 Created\r\n'): Buffer {
  const frames = new FrameWriter();
  frames.text(TYPE.RESPONSE, FLAG.LAST, 7, head);
  return Buffer.from(frames.bytes());
}
