/** What an agent does when its identity, or that of others, begins or ends to hold. */
import type { Logger } from 'pino';
import { WeftError } from '../../protocol/errors.ts';
import type { PeerIdentity } from '../../protocol/introduction.ts';
import type { Keyring } from '../../protocol/keyring.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { isServiceName } from '../../protocol/names.ts';
import { TRUST_NAME } from '../../protocol/trust-list.ts';
import type { AgentConfig } from '../config.ts';
import type { ControlPlane } from '../control/control-plane.ts';
import type { Bus } from '../link/bus.ts';
import type { Link } from '../link/link.ts';
import { skewText } from './clock-skew.ts';
import type { Membership } from './membership.ts';
import { createRenewal } from './renewal.ts';

export interface IdentityWatchParts {
  readonly config: AgentConfig;
  readonly keyring: Keyring;
  /** None: an identity that nobody renews, and no trust list. */
  readonly membership: Membership | undefined;
  readonly control: ControlPlane;
  readonly link: Pick<Link, 'expel' | 'fail' | 'introduce'>;
  /** Services that are served here. */
  readonly services: readonly string[];
  readonly log: Logger;
  /** Monotonic, ms. */
  now(): number;
  random(): number;
  /** Identities that match hold no more. */
  expelled(isOut: (peer: PeerIdentity) => boolean): void;
  /** Which workloads take requests may have changed. */
  admit(): void;
  /** What this agent tells of itself has changed. */
  tell(): void;
}

export type IdentityWatch = ReturnType<typeof createIdentityWatch>;

export function createIdentityWatch(parts: IdentityWatchParts) {
  const { config, keyring, membership, control, link, services, log } = parts;
  /** Why nothing is called or served now, as it was said last. */
  let fault: string | undefined;

  /** An identity ends by the clock or by a trust list, and holds again once it is renewed. */
  function look(): void {
    const ended = keyring.fault;
    if (ended !== fault) {
      fault = ended;
      if (ended === undefined) log.info('the identity of this agent holds again');
      else {
        log.error({ reason: ended }, 'this agent neither calls nor serves');
        link.fail(new WeftError('identity_invalid', ended));
      }
    }
    // Keys of services begin and end by the clock too.
    parts.admit();
  }

  control.trust.watch(() => {
    const list = control.trust.get(TRUST_NAME);
    if (list === undefined || membership === undefined) return;
    const { roots } = membership.keyring;
    membership.trust(list);
    control.identify.forget();
    // What a new root has signed was not taken before.
    if (roots.join() !== list.roots.join()) control.refresh();
    // Whoever shows an identity of a root that holds no more has not followed when there was time.
    const isOut = ({ agent, issuedAtMs, issuer }: PeerIdentity) =>
      membership.keyring.isCut(agent, issuedAtMs) || !list.roots.includes(issuer);
    link.expel(isOut);
    parts.expelled(isOut);
    look();
    parts.tell();
  });

  const renewal =
    membership === undefined
      ? undefined
      : createRenewal({
          membership,
          served: services,
          services: () => [...services, ...calledServices()].slice(0, LIMITS.renewalServicesMax),
          replaceBeforeMs: () =>
            control.trust.get(TRUST_NAME)?.renew.find(({ agent }) => agent === config.host)?.beforeMs,
          now: parts.now,
          wallMs: Date.now,
          random: parts.random,
          renewed({ trust }, why, skewMs) {
            const expires = new Date(membership.keyring.identity.expiresAtMs).toISOString();
            log.info({ why, expires }, 'identity renewed');
            if (Math.abs(skewMs) > LIMITS.skewToldMs) log.warn(skewText(skewMs));
            if (trust !== '') control.trust.offer(TRUST_NAME, trust);
            control.refresh();
            link.introduce();
            parts.tell();
            look();
          },
          failed(error, why, retryMs) {
            const reason = error instanceof Error ? error.message : String(error);
            log.warn({ why, reason, retryMs }, 'identity not renewed; it is tried again');
          },
        });

  /** Of which snapshots are followed because they are called here. */
  function calledServices(): string[] {
    const called = [...control.snapshots.all()].map(([service]) => service);
    return called.filter((service) => isServiceName(service) && !services.includes(service));
  }

  return Object.freeze({
    look,
    attach: (bus: Bus) => renewal?.attach(bus),
    detach: () => renewal?.detach(),
    tick() {
      if (renewal === undefined) return;
      look();
      renewal.tick();
    },
  });
}
