/** What each verb of the API does. */
import type { Change, ChangeResult, Page, PageRequest, ResourceName, Verb } from '../protocol/api.ts';
import type { ApiFault } from '../protocol/api-call.ts';
import type { AuditEvent } from '../protocol/audit-entry.ts';
import { fieldName } from '../protocol/config-fault.ts';
import type { Revision } from '../protocol/revision.ts';
import { NONCE_MS } from './api/call-guard.ts';
import type { Caller, Handlers } from './api/handlers.ts';
import type { Audit } from './audit.ts';
import type { AuditStream } from './audit-stream.ts';
import { type ChangeSet, faultCount, planApply, planDelete } from './change-set.ts';
import { type CheckOptions, checkMesh } from './check.ts';
import { ControllerError } from './controller-error.ts';
import type { Distributor } from './distributor.ts';
import { resourcesAt } from './earlier.ts';
import type { IdentityHandlers } from './identities/identity-verbs.ts';
import { CONTROLLER_LIMITS } from './limits.ts';
import type { Operators, OperatorVerbs } from './operators.ts';
import { type Listed, pageOf } from './paging.ts';
import type { Policy } from './policy.ts';
import type { Publisher } from './publisher.ts';
import { checkReferences } from './resources/references.ts';
import { keyOf, parseResourceKey, type Resource, resourceKey } from './resources/resource.ts';
import type { Serial } from './serial.ts';
import type { Store } from './store.ts';
import type { Views } from './views.ts';

export interface VerbOptions extends CheckOptions {
  readonly store: Store<Resource>;
  readonly policy: Policy;
  readonly publisher: Publisher;
  readonly distributor: Distributor;
  readonly views: Views;
  /** Changes happen one after another. */
  readonly inTurn: Serial;
  readonly leading: () => boolean;
  readonly operators: Pick<Operators, 'view'>;
  readonly audit: Audit;
  readonly auditStream: Pick<AuditStream, 'read'>;
  readonly wallMs: () => number;
  /** What the items of one answer may take, bytes. */
  readonly pageBytesMax: () => number;
  /** Brings what a controller that does not lead has in memory up to date. */
  readonly refresh: () => Promise<void>;
  /** A write failed: whether it has taken place is not known, and this controller leads no more. */
  readonly failed: (error: unknown) => void;
}

/** Those about identities are in a room of their own. */
type PolicyHandlers = Omit<Handlers, keyof IdentityHandlers | keyof OperatorVerbs>;

export function createVerbs(options: VerbOptions): PolicyHandlers {
  const {
    store,
    policy,
    publisher,
    distributor,
    views,
    fleet,
    inTurn,
    leading,
    wallMs,
    refresh,
    audit,
    pageBytesMax,
  } = options;

  const carryOut = async (
    verb: Verb,
    plan: () => Promise<ChangeSet> | ChangeSet,
    dryRun: boolean,
    caller: Caller,
  ) => {
    if (!leading()) throw notLeading();
    return inTurn(async (): Promise<ChangeResult> => {
      if (!leading()) throw notLeading();
      const set = await plan();
      const { lost, blank } = policy;
      const warnings = checked(set, policy, fleet.services);
      if (lost !== undefined && set.changes.length > 0) warnings.push(lossWarning(lost));
      const touched = policy.try(set.changes);
      if (dryRun || set.changes.length === 0) {
        return { changes: changesOf(set, policy), warnings, snapshots: [] };
      }
      const changes = changesOf(set, policy);
      const nowMs = wallMs();
      const by = { ...caller, nowMs, untilMs: nowMs + NONCE_MS };
      const { revision } = await policy.commit(set.changes, by).catch((error: unknown) => {
        throw error instanceof ControllerError ? error : unknownOutcome(error, options.failed);
      });
      // From now on everything holds, also what this change says nothing of.
      if (blank) distributor.reloaded();
      // What is written holds: if publishing fails now, the next leader does it.
      const snapshots = await distributor.snapshots([...touched]).catch((error: unknown) => {
        options.failed(error);
        return [];
      });
      const revised = changes.map((change) =>
        change.action === 'unchanged' ? change : { ...change, revision },
      );
      for (const change of revised)
        if (change.action !== 'unchanged') audit.record(eventOf(verb, change, caller));
      return { changes: revised, warnings, snapshots };
    });
  };
  const page = <Item>(listed: readonly Listed<Item>[], { after }: PageRequest): Page<Item> =>
    pageOf(listed, after, Math.min(pageBytesMax(), CONTROLLER_LIMITS.pageBytesMax));
  const lookup = (key: string) => policy.resources.get(key);

  return Object.freeze({
    apply: ({ resources, dryRun = false }, caller) =>
      carryOut('apply', () => planApply(resources, lookup, wallMs()), dryRun, caller),

    delete: ({ names, dryRun = false }, caller) =>
      carryOut('delete', () => planDelete(names, lookup), dryRun, caller),

    rollback: ({ to, ...name }, caller) =>
      carryOut(
        'rollback',
        async () => planApply([await revisionOf(store, name, to)], lookup, wallMs()),
        false,
        caller,
      ),

    async get(request) {
      await refresh();
      const listed =
        request.at === undefined ? views.resources(request) : await resourcesAt(store, request, request.at);
      if (request.name !== undefined && listed.length === 0) {
        throw new ControllerError(
          'not_found',
          `there is no ${request.kind ?? 'resource'} named ${request.name}`,
        );
      }
      return page(listed, request);
    },

    async history(name) {
      await refresh();
      const entries = await store.history(keyOfName(name));
      if (entries.length === 0) throw new ControllerError('not_found', `${textOf(name)} has no history`);
      return {
        entries: entries.map(({ revision, time, author, change, resource }) => ({
          revision,
          time,
          author,
          action: change,
          ...(resource === null ? {} : { resource }),
        })),
      };
    },

    async agents(request) {
      await refresh();
      const { agent } = request;
      const listed = views.agents(agent);
      if (agent !== undefined && listed.length === 0) {
        throw new ControllerError('not_found', `no agent named ${agent} has been heard of`);
      }
      return page(listed, request);
    },

    async operators(request) {
      await refresh();
      return page(options.operators.view(), request);
    },

    audit: (request) =>
      options.auditStream.read(request, Math.min(pageBytesMax(), CONTROLLER_LIMITS.pageBytesMax)),

    async identities(request) {
      await refresh();
      const { registry } = options.identities;
      const heard = (agent: string) => fleet.agents.get(agent);
      const told = await options.identities.trustList();
      return {
        ...page(registry.view(request.agent, heard), request),
        roots: told?.roots ?? [],
        trust: told?.revision ?? null,
        serviceKeys: registry.keyProgress(),
      };
    },

    endpoints: async (request) => page(views.endpoints(request.service), request),

    async services(request) {
      await refresh();
      const { service } = request;
      const listed = views.services(service);
      if (service !== undefined && listed.length === 0) {
        throw new ControllerError('not_found', `service ${service} is not known`);
      }
      return page(listed, request);
    },

    programmed: async ({ snapshots }) => ({
      items: snapshots.map(({ service, revision }) => {
        const { waiting, lost, ...counts } = views.holdings.progress([[service, revision]]);
        return {
          service,
          ...counts,
          ...(waiting.length === 0 ? {} : { waiting }),
          ...(lost.length === 0 ? {} : { lost }),
        };
      }),
    }),

    async snapshot({ service }) {
      await refresh();
      const differing = views.holdings.differing(service);
      return {
        snapshot: await publisher.document('snapshot', service),
        endpoints: await publisher.document('endpoints', service),
        ...(differing.length === 0 ? {} : { differing }),
      };
    },

    async check() {
      await refresh();
      return { checks: await checkMesh(options) };
    },
  } satisfies PolicyHandlers);
}

/** @returns warnings. @throws ControllerError `invalid` if resources contradict each other, or what is stored */
function checked({ changes }: ChangeSet, policy: Policy, knownServices: ReadonlySet<string>): string[] {
  const changed = changes.flatMap(({ after }) => (after === undefined ? [] : [after]));
  if (changed.length === 0) return [];
  const { faults, warnings } = checkReferences(changed, policy.resources.plain(), knownServices, policy.mesh);
  if (faults.length > 0) {
    const said = faults.map(({ resource, path, found, expected }): ApiFault => {
      const at = changes.find(({ after }) => after === resource)?.at ?? 0;
      return { resource: at, path, found, expected };
    });
    throw new ControllerError('invalid', faultCount(said), said);
  }
  return warnings.map(({ resource, path, message }) => {
    const { kind, metadata } = resource;
    return `${kind} ${metadata.namespace}/${metadata.name}: ${fieldName(path)}: ${message}`;
  });
}

function eventOf(verb: Verb, change: Change, { author, role }: Caller): AuditEvent {
  const { kind, namespace, name, revision, before, after } = change;
  return {
    verb,
    author,
    role,
    about: `${kind.toLowerCase()}/${namespace}/${name}`,
    ...(revision === undefined ? {} : { revision }),
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  };
}

function changesOf({ changes, unchanged }: ChangeSet, policy: Policy): Change[] {
  const made = changes.map(({ key, before, after }): Change => {
    const action = after === undefined ? 'deleted' : before === undefined ? 'created' : 'configured';
    return {
      ...parseResourceKey(key)!,
      action,
      ...(before === undefined ? {} : { before: before.resource }),
      ...(after === undefined ? {} : { after }),
    };
  });
  const same = unchanged.map((key): Change => {
    const { resource, revision } = policy.resources.get(key)!;
    return { ...parseResourceKey(key)!, action: 'unchanged', revision, before: resource, after: resource };
  });
  return [...made, ...same];
}

async function revisionOf(store: Store<Resource>, name: ResourceName, to: number): Promise<Resource> {
  const entries = await store.history(keyOfName(name));
  const entry = entries.find(({ revision }) => revision === to);
  if (entry === undefined) {
    const known = entries.map(({ revision }) => revision).join(', ');
    const have = known === '' ? 'it has no history' : `there are ${known}`;
    throw new ControllerError('not_found', `${textOf(name)} has no revision ${to}: ${have}`);
  }
  if (entry.resource === null) {
    throw new ControllerError(
      'invalid',
      `${textOf(name)} was deleted at revision ${to}: to delete it again, use delete`,
    );
  }
  // A key of the store is what is asked for, whatever a value under it says.
  if (resourceKey(entry.resource) !== keyOf(name)) {
    throw new ControllerError('invalid', `revision ${to} of ${textOf(name)} cannot be read`);
  }
  return entry.resource;
}

function keyOfName(name: ResourceName): string {
  const key = keyOf(name);
  if (parseResourceKey(key) === undefined)
    throw new ControllerError('not_found', `there is no ${textOf(name)}`);
  return key;
}

function textOf({ kind, namespace, name }: ResourceName): string {
  return `${kind} ${namespace}/${name}`;
}

function lossWarning([, set]: Revision): string {
  return (
    `the policy store was lost and made anew; agents follow change set ${set} of the one before. With this change what that one ` +
    'said and this one does not say is taken back: apply all resources at once'
  );
}

function notLeading(): ControllerError {
  return new ControllerError(
    'not_leading',
    'this controller does not lead now: ask again, the leader answers on the bus',
  );
}

function unknownOutcome(cause: unknown, failed: (error: unknown) => void): ControllerError {
  failed(cause);
  const message =
    'the store did not answer, or another controller leads; whether the change was made is not known: look, and try again';
  return new ControllerError('unavailable', message, undefined, { cause });
}
