/**
 * Has the identity of a running agent renewed: at its start (after that the agent knows who is cut off, which keys hold,
 * and what is old), at two thirds of its life, when a key is published that it lacks, and when it is told to make new keys.
 *
 * R1  What holds goes on to hold while a renewal is under way, and if it fails.
 * R2  Agents that start, or fail, together do not ask together.
 */
import type { Grant } from '../../protocol/enrolment.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { Bus } from '../link/bus.ts';
import { askController } from './controller-call.ts';
import type { Membership } from './membership.ts';

export interface RenewalParts {
  readonly membership: Membership;
  /** Services whose keys this agent needs: those that it serves. */
  readonly served: Iterable<string>;
  /** Services of which it wants to know the present revisions. */
  readonly services: () => readonly string[];
  /** Keys of this agent from before that time are to be replaced; undefined if it may keep them. */
  readonly replaceBeforeMs: () => number | undefined;
  /** Clock that does not jump. */
  readonly now: () => number;
  /** Wall clock, ms. */
  readonly wallMs: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  /** `skewMs`: this host's clock minus the controller's. */
  readonly renewed: (grant: Grant, why: RenewalReason, skewMs: number) => void;
  readonly failed: (error: unknown, why: RenewalReason, retryMs: number) => void;
}

export type RenewalReason = 'start' | 'new keys' | 'service key' | 'root' | 'age';

export interface Renewal {
  /** Asks on `bus` from now on. */
  attach(bus: Bus): void;
  /** Asks if it is time to; called every second or so. */
  tick(): void;
  detach(): void;
}

/** Of its life, by which a renewal at two thirds may be late, so that a fleet that was enrolled at once spreads. */
const LATE_SHARE = 0.02;

export function createRenewal(parts: RenewalParts): Renewal {
  const { membership, now, wallMs, random } = parts;
  const { keyring } = membership;
  let bus: Bus | undefined;
  let started = false;
  let asking = false;
  /** What was asked for last, how often in vain, and until when it is not asked for again. */
  let reason: RenewalReason | undefined;
  let failures = 0;
  let notBeforeMs = 0;
  let late = random();

  function due(): RenewalReason | undefined {
    const replaceBeforeMs = parts.replaceBeforeMs();
    if (replaceBeforeMs !== undefined && membership.keysSinceMs < replaceBeforeMs) return 'new keys';
    for (const service of parts.served) if (keyring.lacksKey(service)) return 'service key';
    if (keyring.identity.issuer !== keyring.roots[0]) return 'root';
    const { issuedAtMs, expiresAtMs } = keyring.identity;
    const lifeMs = expiresAtMs - issuedAtMs;
    if (wallMs() >= issuedAtMs + lifeMs * (2 / 3 + late * LATE_SHARE)) return 'age';
    return started ? undefined : 'start';
  }

  function pauseMs(): number {
    const { fault, agent, identity } = keyring;
    const expired = fault !== undefined && !keyring.isCut(agent, identity.issuedAtMs);
    const mostMs = expired ? LIMITS.joinRetryMaxMs : LIMITS.renewalRetryMaxMs;
    const longestMs = Math.min(LIMITS.grantRetryMs * 2 ** Math.min(failures, 10), mostMs);
    failures += 1;
    return longestMs * (0.5 + random() / 2);
  }

  async function ask(on: Bus, why: RenewalReason): Promise<void> {
    asking = true;
    try {
      const question = await membership.ask(parts.services(), why === 'new keys');
      const askedMs = wallMs();
      const text = await askController(on, keyring.mesh, 'renew', question.message);
      const middleMs = (askedMs + wallMs()) / 2;
      const grant = await membership.take(question, text);
      started = true;
      late = random();
      parts.renewed(grant, why, middleMs - grant.timeMs);
      if (due() === undefined) reason = undefined;
      // It has not brought what was lacking: perhaps the controller has not got it yet either.
      else notBeforeMs = now() + pauseMs();
    } catch (error) {
      const retryMs = pauseMs();
      notBeforeMs = now() + retryMs;
      if (bus !== undefined) parts.failed(error, why, Math.round(retryMs));
    } finally {
      asking = false;
    }
  }

  return Object.freeze({
    attach(connected: Bus) {
      bus = connected;
    },
    tick() {
      if (asking || bus?.up !== true) return;
      const why = due();
      if (why !== undefined && why !== reason) {
        reason = why;
        failures = 0;
        notBeforeMs = now() + (keyring.fault === undefined ? random() * LIMITS.renewalSpreadMs : 0);
      }
      if (why !== undefined && now() >= notBeforeMs) void ask(bus, why);
    },
    detach() {
      bus = undefined;
    },
  });
}
