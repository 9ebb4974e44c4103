/** What each verb of the controller takes and gives. The verbs are the same on the bus and over HTTP under `/api`. */
import type { WorkloadReport, WorkloadState } from './heartbeat.ts';
import type { Role } from './operator.ts';
import type { Revision } from './revision.ts';

/** A resource as an author writes it; of the controller's answers with `status`, and its revision in metadata. */
export interface ResourceDocument {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    /** RFC 3339. */
    readonly creationTimestamp?: string;
    readonly revision?: number;
  };
  readonly spec: unknown;
  readonly status?: unknown;
}

export interface ResourceName {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface Change extends ResourceName {
  readonly action: 'created' | 'configured' | 'unchanged' | 'deleted';
  /** Of the resource in its history; absent in a dry run. */
  readonly revision?: number;
  /** As it stood before, and as it stands now; absent where there is none. */
  readonly before?: ResourceDocument;
  readonly after?: ResourceDocument;
}

export interface ChangeResult {
  readonly changes: readonly Change[];
  /** For people: accepted, but probably not what was meant. */
  readonly warnings: readonly string[];
  /** The snapshots that follow from it: what `--wait` waits for. */
  readonly snapshots: readonly { readonly service: string; readonly revision: Revision }[];
}

export interface HistoryEntry {
  readonly revision: number;
  /** RFC 3339. */
  readonly time: string;
  readonly author: string;
  readonly action: 'created' | 'configured' | 'deleted';
  /** Absent where it was deleted. */
  readonly resource?: ResourceDocument;
}

export interface AgentView {
  readonly agent: string;
  readonly state: 'connected' | 'lost' | 'left';
  /** RFC 3339. */
  readonly since: string;
  readonly release: string;
  /** Its clock minus the controller's, as its last heartbeat showed it, ms. */
  readonly skewMs: number;
  readonly identityExpires: string;
  readonly workloads: readonly WorkloadReport[];
  /** Services that it calls for and does not serve; absent if there are none. */
  readonly callers?: readonly string[];
  readonly applied: Readonly<Record<string, Revision>>;
  /** Services of which it holds an older snapshot than the published one, or none yet. */
  readonly behind: readonly string[];
  /** Services of which it holds a snapshot that is not published, or a newer one; absent if there are none. */
  readonly astray?: readonly string[];
  /** Other processes that announce themselves under the same name; absent if there are none. */
  readonly rivals?: number;
}

export interface EndpointView extends Omit<WorkloadReport, 'state'> {
  /** `lost`: its agent fell silent, and requests go there no more. */
  readonly state: WorkloadState | 'lost';
  readonly host: string;
  readonly applied: Revision | null;
}

export interface ServiceView {
  readonly service: string;
  readonly revision: Revision | null;
  readonly endpoints: number;
  readonly ready: number;
  /** `namespace/name` of the routes attached to it. */
  readonly routes: readonly string[];
}

export interface Check {
  readonly name: string;
  readonly result: 'ok' | 'warning' | 'failed';
  readonly message: string;
  /** What to do; '' if it is ok. */
  readonly advice: string;
}

/** An agent that is enrolled, or a host whose token has not been used. */
export interface IdentityView {
  readonly agent: string;
  readonly state: 'valid' | 'expired' | 'revoked' | 'invited';
  readonly workloads: readonly string[];
  /** Public NKey; '' while it is invited. */
  readonly key: string;
  /** The root that has signed the identity which it shows; '' if it was not heard. */
  readonly root: string;
  /** The trust list that it goes by; absent if it was not heard. */
  readonly trust?: Revision;
  /** RFC 3339; of the identity, or of the token. */
  readonly issued: string;
  readonly expires: string;
}

/** Credentials of an operator that the controller has heard of; one name may have several. */
export interface OperatorView {
  readonly name: string;
  readonly role: Role;
  readonly state: 'valid' | 'expired' | 'revoked';
  /** Public NKey. */
  readonly key: string;
  /** RFC 3339. */
  readonly issued: string;
  readonly expires: string;
}

/** A message of the audit stream, as it is there. */
export interface AuditMessage {
  readonly sequence: number;
  /** When the stream took it; RFC 3339. */
  readonly time: string;
  /** To be checked by who reads it: `audit-entry.ts`. */
  readonly text: string;
}

/** What agents are told to trust. */
export interface TrustView {
  /** Public NKeys of the roots that agents are told to trust; the first signs. None if that has not been published yet. */
  readonly roots: readonly string[];
  /** Of the trust list that says so; null if it has not been published yet. */
  readonly trust: Revision | null;
  /** Services that have a key, and those whose callers use one that follows from the root that signs. */
  readonly serviceKeys: { readonly of: number; readonly replaced: number };
}

/** Lists come in pages: `after` is `next` of the page before. */
export interface PageRequest {
  readonly after?: string;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Absent: this is the last one. */
  readonly next?: string;
}

export interface ApiVerbs {
  apply: {
    request: { readonly resources: readonly unknown[]; readonly dryRun?: boolean };
    response: ChangeResult;
  };
  delete: {
    request: { readonly names: readonly ResourceName[]; readonly dryRun?: boolean };
    response: ChangeResult;
  };
  /** `to`: a revision of the resource's history. */
  rollback: { request: ResourceName & { readonly to: number }; response: ChangeResult };
  /** All of a kind, of a namespace, or one; all kinds if none is named. */
  get: {
    request: PageRequest & {
      readonly kind?: string;
      readonly namespace?: string;
      readonly name?: string;
      /** A revision: as they stood then, without a status. */
      readonly at?: number;
    };
    response: Page<ResourceDocument>;
  };
  history: { request: ResourceName; response: { readonly entries: readonly HistoryEntry[] } };
  agents: { request: PageRequest & { readonly agent?: string }; response: Page<AgentView> };
  endpoints: { request: PageRequest & { readonly service?: string }; response: Page<EndpointView> };
  services: { request: PageRequest & { readonly service?: string }; response: Page<ServiceView> };
  /** How many of the agents that hold or serve a service have applied a revision of it, or a newer one. */
  programmed: {
    request: { readonly snapshots: ChangeResult['snapshots'] };
    response: {
      readonly items: readonly {
        readonly service: string;
        readonly applied: number;
        readonly of: number;
        /** Some of those that have not; absent if there are none. */
        readonly waiting?: readonly string[];
        /** Some of those that fell silent lately, and are not counted: whether they follow it is not known. */
        readonly lost?: readonly string[];
      }[];
    };
  };
  /** The signed snapshot and endpoint list of a service as they are published: `weft explain` runs on them. */
  snapshot: {
    request: { readonly service: string };
    response: {
      readonly snapshot: string | null;
      readonly endpoints: string | null;
      /** Some of the agents that hold another snapshot of it; absent if there are none. */
      readonly differing?: readonly { readonly agent: string; readonly revision: Revision }[];
    };
  };
  check: { request: Record<string, never>; response: { readonly checks: readonly Check[] } };
  /** A host asks for its identity with a token, an agent for another one: `enrolment.ts` says what is in the texts. */
  join: { request: { readonly message: string }; response: { readonly grant: string } };
  renew: { request: { readonly message: string }; response: { readonly grant: string } };
  /** Makes a join token, which comes back sealed to the key that the caller has made for it. */
  token: {
    request: {
      readonly host: string;
      /** Services that the host may speak and serve for. */
      readonly workloads: readonly string[];
      readonly ttlMs: number;
      /** X25519, base64url. */
      readonly sealTo: string;
    };
    response: { readonly sealed: string };
  };
  /** Cuts an agent off: what was issued to it until now holds no more. */
  revoke: { request: { readonly agent: string }; response: { readonly services: readonly string[] } };
  /** Begins to replace a key; `identities` and `agents` show how far it is. */
  rotate: {
    request:
      | { readonly what: 'service'; readonly service: string }
      | { readonly what: 'agent'; readonly agent: string }
      /** The controller reads the files of its roots anew. */
      | { readonly what: 'root' };
    response: { readonly fromMs: number };
  };
  /** Whom the mesh has enrolled, and which tokens are open. */
  identities: {
    request: PageRequest & { readonly agent?: string };
    response: Page<IdentityView> & TrustView;
  };
  /** The controller learns of an operator; the document holds without that, too. */
  addOperator: { request: { readonly document: string }; response: { readonly operator: OperatorView } };
  /** Whatever was issued to this name until now holds no more. `known`: how many of these the controller had heard of. */
  revokeOperator: { request: { readonly name: string }; response: { readonly known: number } };
  operators: { request: PageRequest; response: Page<OperatorView> };
  /** What the audit stream has, from a time on (RFC 3339), else from its beginning. */
  audit: { request: PageRequest & { readonly since?: string }; response: Page<AuditMessage> };
}

export type Verb = keyof ApiVerbs;
