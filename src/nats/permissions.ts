/**
 * What each role of a mesh may publish and listen to on NATS, and nothing else: the second wall.
 *
 * N1  Where a message names its sender by its subject (heartbeats, packets to come), nobody else may publish or listen.
 * N2  JetStream is in an account of its own, with the controllers. An agent that could ask JetStream directly could name any
 *     subject as the one to answer on, a key of a bucket too: with its publish permissions only that would be no wall.
 * N3  No list is empty: for nats-server an empty one allows everything.
 */
import type { Role } from '../protocol/operator.ts';
import {
  AUDITED,
  agentInbox,
  apiSubject,
  auditStream,
  auditSubject,
  configBucket,
  heartbeatSubject,
  heartbeatsSubject,
  identityBucket,
  instanceSubject,
  observationsSubject,
  policyBucket,
  processSubject,
  publicationGetsSubject,
  publicationRepublish,
  QUEUE,
  receiveSubject,
  repliesSubject,
  serviceSubject,
  stateBucket,
  userInbox,
} from '../protocol/subjects.ts';
import { verbsOf, verbsOfRole } from '../protocol/verb-rights.ts';
import {
  bucketSubjects,
  IMPORTED_REPLIES,
  JETSTREAM_INFO,
  MONITORING,
  STREAM_LISTS,
  streamSubjects,
} from './server-subjects.ts';

/** Subjects, with wildcards; those with a queue group are `subject queue`. */
export interface Permissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

const ANY = '*';
const ANY_SERVICE = '*.*';

/**
 * An agent calls any service (policy decides what comes of it) and serves its workloads. It hears packets for itself, and what
 * the controller publishes. There are thousands of them: what all have in common is made once.
 */
export function agentPermissions(mesh: string): (agent: string, workloads: readonly string[]) => Permissions {
  const published = [
    serviceSubject(mesh, ANY_SERVICE),
    processSubject(mesh, ANY_SERVICE, ANY, ANY),
    receiveSubject(mesh, ANY, ANY),
    publicationGetsSubject(mesh),
    ...verbsOf('agent').map((verb) => apiSubject(mesh, verb)),
  ];
  const publications = publicationRepublish(mesh).dest;
  return (agent, workloads) => {
    const own = receiveSubject(mesh, agent, ANY);
    return {
      publish: [...published, heartbeatSubject(mesh, agent)],
      subscribe: [
        inbox(agentInbox(mesh, agent)),
        own,
        repliesSubject(own),
        publications,
        ...workloads.flatMap((service) => [
          inGroup(serviceSubject(mesh, service)),
          instanceSubject(mesh, service, agent),
          processSubject(mesh, service, agent, ANY),
        ]),
      ],
    };
  };
}

/** An operator calls the verbs of the role, and observes. */
export function operatorPermissions(mesh: string, role: Role, key: string): Permissions {
  return {
    publish: [...verbsOfRole(role).map((verb) => apiSubject(mesh, verb)), MONITORING, JETSTREAM_INFO],
    subscribe: [inbox(userInbox(key)), observationsSubject(mesh)],
  };
}

/** A host that is to become an agent asks for that. All that join share this user: the answers hold no secrets for others. */
export function joinPermissions(mesh: string, key: string): Permissions {
  return {
    publish: verbsOf('host').map((verb) => apiSubject(mesh, verb)),
    subscribe: [inbox(userInbox(key))],
  };
}

/** A controller keeps the buckets, hears the agents and answers calls. */
export function controllerPermissions(mesh: string, key: string): Permissions {
  const buckets = [policyBucket(mesh), configBucket(mesh), stateBucket(mesh), identityBucket(mesh)];
  return {
    publish: [
      IMPORTED_REPLIES,
      JETSTREAM_INFO,
      ...STREAM_LISTS,
      ...buckets.flatMap(bucketSubjects),
      ...streamSubjects(auditStream(mesh)),
      auditSubject(mesh, AUDITED),
    ],
    subscribe: [inbox(userInbox(key)), inGroup(apiSubject(mesh, ANY)), MONITORING, heartbeatsSubject(mesh)],
  };
}

/** What the accounts of agents and controllers let through to each other (N2). */
export interface Crossings {
  /** Requests to the controllers' account; `many`: more than one may answer. */
  readonly requests: readonly { readonly subject: string; readonly many?: boolean }[];
  /** Heard from the controllers' account. */
  readonly fromControllers: readonly string[];
  /** Heard from the agents' account. */
  readonly fromAgents: readonly string[];
}

export function crossings(mesh: string): Crossings {
  return {
    requests: [
      { subject: apiSubject(mesh, ANY) },
      { subject: publicationGetsSubject(mesh) },
      { subject: JETSTREAM_INFO },
      { subject: MONITORING, many: true },
    ],
    fromControllers: [publicationRepublish(mesh).dest, auditSubject(mesh, AUDITED)],
    fromAgents: [heartbeatsSubject(mesh)],
  };
}

function inbox(prefix: string): string {
  return `${prefix}.>`;
}

/** Permits the subject in the queue group only. */
function inGroup(subject: string): string {
  return `${subject} ${QUEUE}`;
}
