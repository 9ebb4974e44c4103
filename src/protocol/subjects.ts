/**
 * Every subject, queue group, bucket and key of the mesh, built and read in this one place.
 * Builders trust their arguments: names are checked where they enter (config, packets, authorities).
 */
import { serviceParts } from './names.ts';

/** Every agent that serves a service subscribes to its subject in this queue group. */
export const QUEUE = 'weft';

/** Requests to any endpoint of a service; published to, and subscribed to in `QUEUE`. */
export function serviceSubject(mesh: string, service: string): string {
  const { name, namespace } = serviceParts(service);
  return `weft.${mesh}.svc.${namespace}.${name}`;
}

/** Requests to one endpoint. */
export function instanceSubject(mesh: string, service: string, agent: string): string {
  const { name, namespace } = serviceParts(service);
  return `weft.${mesh}.ins.${namespace}.${name}.${agent}`;
}

/** Requests to one process of an endpoint: when it is gone nobody is there, and not its successor with other keys. */
export function processSubject(mesh: string, service: string, agent: string, fingerprint: string): string {
  return `${instanceSubject(mesh, service, agent)}.${fingerprint}`;
}

/** Packets to one agent process; `session` is 16 hex digits. */
export function receiveSubject(mesh: string, agent: string, session: string): string {
  return `weft.${mesh}.rx.${agent}.${session}`;
}

/** Reply subject of a request packet, where the bus says that nobody is there; `receive` from `receiveSubject`. */
export function replySubject(receive: string, counter: number): string {
  return `${receive}.${counter}`;
}

/** What an agent subscribes to for all its reply subjects. */
export function repliesSubject(receive: string): string {
  return `${receive}.*`;
}

/** The packet that a reply subject of ours is about; NaN for a subject that is none. */
export function counterOfReply(subject: string): number {
  return Number(subject.slice(subject.lastIndexOf('.') + 1));
}

/** What the controller publishes for agents, one document a service each; and one about the whole mesh. */
export type PublicationKind = 'snapshot' | 'endpoints' | 'trust';

/** Authored resources, with their history. Only the controller reads and writes it. */
export function policyBucket(mesh: string): string {
  return `weft-${mesh}-policy`;
}

/** What agents read: signed snapshots and endpoint lists; republished on `publicationSubject`. */
export function configBucket(mesh: string): string {
  return `weft-${mesh}-config`;
}

/** Whom the mesh has enrolled: tokens, agents, operators, key epochs. Only the controller reads and writes it. */
export function identityBucket(mesh: string): string {
  return `weft-${mesh}-identity`;
}

/** What the controller keeps of the fleet, and its own lease. */
export function stateBucket(mesh: string): string {
  return `weft-${mesh}-state`;
}

/**
 * Key of a publication in the config bucket: `snapshot.default.orders`. A host name that is an alias moves its first label
 * to the end in the same way (`snapshot.example.com.orders`), so that every token is a DNS label and every key has one name.
 */
export function publicationKey(kind: PublicationKind, service: string): string {
  const { name, namespace } = serviceParts(service);
  return `${kind}.${namespace}.${name}`;
}

/** Where a change of a publication is heard at once: the bucket's `republish`. */
export function publicationSubject(mesh: string, kind: PublicationKind, service: string): string {
  return `weft.${mesh}.cfg.${publicationKey(kind, service)}`;
}

/** The bucket's `republish` setting, which leads to `publicationSubject`. */
export function publicationRepublish(mesh: string): { readonly src: string; readonly dest: string } {
  return { src: `$KV.${configBucket(mesh)}.>`, dest: `weft.${mesh}.cfg.>` };
}

/** A request with an empty payload is answered with the publication as it stands (JetStream direct get), or status 404. */
export function publicationGetSubject(mesh: string, kind: PublicationKind, service: string): string {
  const bucket = configBucket(mesh);
  return `$JS.API.DIRECT.GET.KV_${bucket}.$KV.${bucket}.${publicationKey(kind, service)}`;
}

/** `publicationGetSubject` of everything that is published. */
export function publicationGetsSubject(mesh: string): string {
  const bucket = configBucket(mesh);
  return `$JS.API.DIRECT.GET.KV_${bucket}.$KV.${bucket}.>`;
}

/** What an agent says of itself, each second and when something changes. */
export function heartbeatSubject(mesh: string, agent: string): string {
  return `weft.${mesh}.obs.health.${agent}`;
}

/** All agents' heartbeats. */
export function heartbeatsSubject(mesh: string): string {
  return `weft.${mesh}.obs.health.*`;
}

/** What people observe. */
export function observationsSubject(mesh: string): string {
  return `weft.${mesh}.obs.>`;
}

/** Where answers to an agent arrive: a prefix, to which the client of the bus adds. It outlives the agent's keys. */
export function agentInbox(mesh: string, agent: string): string {
  return `_INBOX.weft.${mesh}.${agent}`;
}

/** The same of a user that is known by its key (a public NKey) alone. */
export function userInbox(key: string): string {
  return `_INBOX.${key}`;
}

/** A call to the controller. */
export function apiSubject(mesh: string, verb: string): string {
  return `weft.${mesh}.api.${verb}`;
}

/** Where accepted changes are written down, by verb; `AUDITED` is all of them. */
export function auditSubject(mesh: string, verb: string): string {
  return `weft.${mesh}.obs.audit.${verb}`;
}

/** For `auditSubject`, every verb. */
export const AUDITED = '*';

/** The stream that keeps them. Only the controller writes it. */
export function auditStream(mesh: string): string {
  return `WEFT_${mesh}_audit`;
}
