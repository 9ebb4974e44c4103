import { BoundedMap } from '../../protocol/bounded-map.ts';
import { WeftError } from '../../protocol/errors.ts';
import { keyFingerprint, type PeerIdentity } from '../../protocol/introduction.ts';
import type { Keyring } from '../../protocol/keyring.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { processSubject, receiveSubject, serviceSubject } from '../../protocol/subjects.ts';
import type { Outbox } from './outbox.ts';
import { RequestLane } from './request-lane.ts';
import { type Audience, Sealer } from './sealer.ts';

export interface RequestLanesParts {
  readonly keyring: Keyring;
  /** Wall clock, ms: it stands in packets. */
  readonly wallMs: () => number;
  /** Clock that does not jump, ms. */
  readonly now: () => number;
  /** Of this process. */
  readonly session: string;
  readonly outbox: Outbox;
}

/** The lanes of the requests that this process sends: made when they are first needed, and anew when what they go by has changed. */
export class RequestLanes {
  readonly #parts: RequestLanesParts;
  readonly #toServices = new BoundedMap<string, RequestLane>(LIMITS.servicesKnownMax);
  readonly #toInstances = new BoundedMap<string, { endpoint: PeerIdentity; lane: RequestLane }>(
    LIMITS.peersMax,
  );
  /** Services that have asked for signatures, and until when: the snapshot that says so may be on its way. */
  readonly #askedToSign = new BoundedMap<string, number>(LIMITS.servicesKnownMax);

  constructor(parts: RequestLanesParts) {
    this.#parts = parts;
  }

  /**
   * To any endpoint of the service. `signed`: its snapshot asks for evidence.
   * @throws WeftError `no_endpoint` if there is no key that it could be sealed with
   */
  toService(service: string, signed: boolean): RequestLane {
    const { keyring } = this.#parts;
    const evidence = this.#evidenceFor(service, signed);
    const key = keyring.serviceKey(service);
    if (key === undefined) {
      const details = `no key of ${service} is published: no host that serves it is enrolled, or no controller runs`;
      throw new WeftError('no_endpoint', details);
    }
    const known = this.#toServices.get(service);
    if (known?.sealer.audience.epoch === key.epoch && known.evidence === evidence) return known;
    const audience = { name: service, toService: true, epoch: key.epoch, publicKey: key.publicKey };
    const lane = this.#make(serviceSubject(keyring.mesh, service), audience, undefined, evidence);
    this.#toServices.set(service, lane);
    return lane;
  }

  /** To the one process of the service at `endpoint`. */
  toInstance(service: string, endpoint: PeerIdentity, signed: boolean): RequestLane {
    const name = `${service}.${endpoint.agent}`;
    const evidence = this.#evidenceFor(service, signed);
    const known = this.#toInstances.get(name);
    if (known?.endpoint === endpoint && known.lane.evidence === evidence) return known.lane;
    const audience = { name: endpoint.agent, toService: false, epoch: 0, publicKey: endpoint.publicKey };
    const { mesh } = this.#parts.keyring;
    const subject = processSubject(mesh, service, endpoint.agent, keyFingerprint(endpoint.publicKey));
    const lane = this.#make(subject, audience, endpoint.agent, evidence);
    this.#toInstances.set(name, { endpoint, lane });
    return lane;
  }

  /** Whom requests to the service at this agent go to. */
  endpointOf(service: string, agent: string): PeerIdentity | undefined {
    return this.#toInstances.get(`${service}.${agent}`)?.endpoint;
  }

  /** The service has refused what was not signed: for a while everything is, until its snapshot says whether it has to be. */
  askedToSign(service: string): void {
    this.#askedToSign.set(service, this.#parts.now() + LIMITS.signAskedMs);
  }

  /** What the packets of a request are to be evidence about. */
  #evidenceFor(service: string, signed: boolean): string | undefined {
    if (signed) return service;
    const untilMs = this.#askedToSign.get(service);
    return untilMs !== undefined && untilMs > this.#parts.now() ? service : undefined;
  }

  #make(subject: string, audience: Audience, instance?: string, evidence?: string): RequestLane {
    const { keyring, session, wallMs, outbox } = this.#parts;
    const replies = receiveSubject(keyring.mesh, keyring.agent, session);
    const sealer = new Sealer(keyring, session, audience, wallMs);
    return new RequestLane(subject, replies, sealer, outbox, instance, evidence);
  }
}
