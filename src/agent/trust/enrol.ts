/**
 * Gives a host that has none its identity: makes keys, proves the join token with them, keeps what is granted.
 *
 * M1  Keys are on disk before anybody hears of them: a host that is cut off in between asks again with the same ones.
 * M2  Only the root that the token names can grant; whoever else answers on the bus is not believed.
 */
import { randomBytes } from 'node:crypto';
import { type AgentKeys, createAgentKeys } from '../../protocol/agent-keys.ts';
import { type Grant, type JoinToken, openGrant, signJoin } from '../../protocol/enrolment.ts';
import { checkIdentity } from '../../protocol/identity.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { verificationKey } from '../../protocol/nkey.ts';
import type { Bus } from '../link/bus.ts';
import { skewText } from './clock-skew.ts';
import { askController, RefusedByController } from './controller-call.ts';
import type { IdentityFolder, StoredIdentity } from './identity-folder.ts';
import { storedAfterJoin } from './membership.ts';

export interface EnrolParts {
  readonly token: JoinToken;
  /** As the configuration names them. */
  readonly mesh: string;
  readonly host: string;
  readonly folder: IdentityFolder;
  /** Dials NATS once. */
  readonly dial: () => Promise<Pick<Bus, 'request' | 'close'>>;
  /** Wall clock, ms. */
  readonly wallMs: () => number;
  /** From 0 to 1, for back-off. */
  readonly random: () => number;
  /** What rejects it ends the trying. */
  readonly wait: (ms: number) => Promise<unknown>;
  /** Nobody could answer: it is tried again after `retryMs`. */
  readonly delayed: (reason: string, retryMs: number) => void;
  /** The clock of this host differs, ms; in words. */
  readonly skewed: (text: string) => void;
}

/**
 * Resolves when the host is enrolled and what it was granted is on disk; tries until then.
 * @throws RefusedByController, or Error: the token is not for this host, the clock is wrong, the disk cannot be written
 */
export async function enrol(parts: EnrolParts): Promise<{ stored: StoredIdentity; keys: AgentKeys }> {
  const { token, mesh, host, folder } = parts;
  checkToken(token, mesh, host);
  const keys = (await folder.spareKeys()) ?? createAgentKeys();
  await folder.keepKeys(keys);
  const { grant, skewMs } = await untilGranted(parts, keys);
  const { issuedAtMs } = checkIdentity(verificationKey(token.root), mesh, grant.identity, grant.timeMs);
  const stored = storedAfterJoin(grant, keys, token.root, issuedAtMs);
  await folder.save(stored);
  if (Math.abs(skewMs) > LIMITS.packetAgeMs) {
    throw new Error(
      `${skewText(skewMs)}, and packets of over ${LIMITS.packetAgeMs / 1000} s are refused. Set the clock (NTP) and start the agent again; it is enrolled and needs no other token`,
    );
  }
  if (Math.abs(skewMs) > LIMITS.skewToldMs) parts.skewed(skewText(skewMs));
  return { stored, keys };
}

function checkToken(token: JoinToken, mesh: string, host: string): void {
  for (const [what, found, expected] of [
    ['mesh', token.mesh, mesh],
    ['host', token.host, host],
  ] as const) {
    if (found === expected) continue;
    throw new Error(
      `the join token is for the ${what} ${found}, and the configuration says ${expected}. Make one with \`weft token create --host ${host}\` for the mesh ${mesh}`,
    );
  }
}

/** `skewMs`: the clock of this host minus the controller's. */
interface Granted {
  readonly grant: Grant;
  readonly skewMs: number;
}

async function untilGranted(parts: EnrolParts, keys: AgentKeys): Promise<Granted> {
  for (let failures = 0; ; failures++) {
    try {
      return await askOnce(parts, keys);
    } catch (error) {
      if (error instanceof RefusedByController) {
        throw new RefusedByController(`the controller refuses the join token: ${error.message}`);
      }
      const longestMs = Math.min(LIMITS.grantRetryMs * 2 ** Math.min(failures, 10), LIMITS.joinRetryMaxMs);
      const retryMs = Math.round(longestMs * (0.5 + parts.random() / 2));
      parts.delayed(error instanceof Error ? error.message : String(error), retryMs);
      await parts.wait(retryMs);
    }
  }
}

async function askOnce({ token, mesh, host, dial, wallMs }: EnrolParts, keys: AgentKeys): Promise<Granted> {
  const bus = await dial();
  try {
    const nonce = randomBytes(16).toString('hex');
    const askedMs = wallMs();
    const text = await askController(
      bus,
      mesh,
      'join',
      signJoin(keys, token.secret, {
        mesh,
        host,
        token: token.id,
        key: keys.publicKey,
        x25519: Buffer.from(keys.boxKey).toString('base64url'),
        nonce,
        timeMs: askedMs,
      }),
    );
    const grant = openGrant(verificationKey(token.root), mesh, host, nonce, text);
    return { grant, skewMs: (askedMs + wallMs()) / 2 - grant.timeMs };
  } finally {
    await bus.close();
  }
}
