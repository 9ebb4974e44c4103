/** Where a stream to a service is opened: within this agent, to one endpoint, or to whom the bus picks. */

import type { EndpointList } from '../protocol/endpoint-list.ts';
import { WeftError } from '../protocol/errors.ts';
import { methodOfHead } from '../protocol/head.ts';
import { isIdempotent } from '../protocol/idempotent.ts';
import type { PeerIdentity } from '../protocol/introduction.ts';
import type { Keyring } from '../protocol/keyring.ts';
import type { Publications } from './control/publications.ts';
import { createLateStreams } from './link/late-streams.ts';
import type { Link, Serve } from './link/link.ts';
import { openLocal } from './link/local.ts';
import type { Balancer } from './outbound/balancer.ts';
import type { OpenStream } from './outbound/proxy.ts';

export interface StreamOpenerParts {
  readonly self: PeerIdentity;
  readonly keyring: Keyring;
  /** True if keys of services are published, in their endpoint lists. */
  readonly enrolled: boolean;
  readonly link: Link;
  readonly lists: Publications<EndpointList>;
  readonly balancer: Balancer;
  /** Services that take requests here. */
  readonly serving: ReadonlySet<string>;
  readonly serve: Serve;
  /** True if packets of the service are signed, as evidence. */
  signs(service: string): boolean;
  /** Why the bus is away, in words. */
  whyDown(): string | undefined;
  /** A stream is about to be opened. */
  wake(): void;
  /** Monotonic, ms. */
  now(): number;
}

export interface StreamOpener {
  readonly open: OpenStream;
  /** Looks after streams that wait for a key. */
  look(): void;
}

export function createStreamOpener(parts: StreamOpenerParts): StreamOpener {
  const { self, keyring, enrolled, link, lists, balancer, serving, serve } = parts;
  const listed = (service: string) => lists.get(service) !== undefined || lists.known(service);
  const late = createLateStreams({ now: parts.now });

  const openNow: OpenStream = (service, endpoint, head, last, handler) => {
    if (endpoint === self || (!link.up && serving.has(service))) {
      return openLocal(serve, self, head, last, handler);
    }
    if (!link.up) throw new WeftError('bus_down', parts.whyDown() ?? 'the connection to NATS is lost');
    const signed = parts.signs(service);
    return endpoint === undefined
      ? link.openToService(service, head, last, handler, balancer.spread(service), signed)
      : link.openToInstance(service, endpoint, head, last, handler, signed);
  };

  return Object.freeze({
    open(service, endpoint, head, last, handler) {
      parts.wake();
      const { fault } = keyring;
      if (fault !== undefined) throw new WeftError('identity_invalid', fault);
      if (!enrolled || endpoint !== undefined || !link.up) {
        return openNow(service, endpoint, head, last, handler);
      }
      const repeatable = isIdempotent(methodOfHead(head));
      const known = () => listed(service) && (repeatable || !balancer.isOutdated(service));
      const openPicked = (picked: PeerIdentity | undefined) => {
        if (picked !== undefined || repeatable) return openNow(service, picked, head, last, handler);
        // What is sealed for the service could be played to each of its endpoints.
        const details = `nobody is known who serves ${service}, and what is not safe to repeat goes to nobody unknown`;
        throw new WeftError('no_endpoint', details);
      };
      if (known()) return openPicked(undefined);
      lists.want(service);
      return late.open(handler, known, () => openPicked(balancer.pick(service, repeatable)));
    },
    look: () => late.look(),
  } satisfies StreamOpener);
}
