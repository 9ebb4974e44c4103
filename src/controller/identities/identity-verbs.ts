/** What the verbs about identities do: `join` and `renew` for agents, `token`, `revoke` and `rotate` for operators. */
import { randomBytes } from 'node:crypto';
import {
  agentOfRenewal,
  type JoinRequest,
  openJoin,
  openRenewal,
  type RenewalRequest,
  tokenOfJoin,
  tokenSecret,
} from '../../protocol/enrolment.ts';
import { WeftError } from '../../protocol/errors.ts';
import { documentExcess } from '../../protocol/identity.ts';
import { sealToken } from '../../protocol/token-answer.ts';
import type { Caller, Handlers } from '../api/handlers.ts';
import type { Audit } from '../audit.ts';
import { ControllerError } from '../controller-error.ts';
import type { Roots } from '../roots.ts';
import type { Serial } from '../serial.ts';
import type { Grants } from './grants.ts';
import type { Registry } from './registry.ts';
import type { RenewalGuard } from './renewal-guard.ts';

export interface IdentityVerbOptions {
  readonly mesh: string;
  readonly roots: Roots;
  /** Reads the files of the roots anew, and begins with them; undefined if nobody can. */
  readonly reload: (() => void) | undefined;
  readonly registry: Registry;
  readonly grants: Grants;
  readonly guard: RenewalGuard;
  /** Changes happen one after another. */
  readonly inTurn: Serial;
  readonly leading: () => boolean;
  readonly wallMs: () => number;
  /** Agents or keys have changed: the trust list, and the endpoint lists of these services. */
  readonly changed: (services: readonly string[]) => Promise<void>;
  /** Keys of these services may be new: their endpoint lists. What else a join changes can wait to be told. */
  readonly keysMade: (services: readonly string[]) => void;
  /** An agent was cut off. */
  readonly cut: (agent: string) => void;
  readonly audit: Pick<Audit, 'record'>;
  /** A join or a renewal was refused. */
  readonly refused: (verb: 'join' | 'renew', details: string) => void;
}

export type IdentityHandlers = Pick<Handlers, 'join' | 'renew' | 'token' | 'revoke' | 'rotate'>;

export function createIdentityVerbs(options: IdentityVerbOptions): IdentityHandlers {
  const { mesh, roots, registry, grants, guard, audit, leading, wallMs } = options;
  const { present } = roots;

  const inTurn = <Result>(task: () => Promise<Result>): Promise<Result> =>
    options.inTurn(async () => {
      if (!leading()) {
        throw new ControllerError('not_leading', 'this controller does not lead: the one that leads answers');
      }
      return task();
    });

  /** What is refused here is told to who asked, and to the operators. */
  const guarded = async (verb: 'join' | 'renew', task: () => Promise<string>) => {
    try {
      return { grant: await task() };
    } catch (error) {
      const denied = error instanceof WeftError ? new ControllerError('denied', error.message) : error;
      if (denied instanceof ControllerError && denied.code === 'denied' && leading()) {
        const reason = denied.message;
        options.refused(verb, reason);
        const role = verb === 'join' ? 'token' : 'agent';
        audit.record({ verb, author: 'unknown', role, outcome: 'refused', about: 'host/unknown', reason });
      }
      throw denied;
    }
  };

  const record = (verb: 'token' | 'revoke' | 'rotate', about: string, caller: Caller, after?: unknown) => {
    const { author, role } = caller;
    audit.record({ verb, author, role, about, ...(after === undefined ? {} : { after }) });
  };

  const rotateRoot = (caller: Caller) => {
    const { reload } = options;
    if (reload === undefined) {
      throw new ControllerError('unavailable', 'this controller cannot read its roots anew: restart it');
    }
    record('rotate', 'root', caller);
    // Once this call has been answered.
    setImmediate(reload);
    return { fromMs: wallMs() };
  };

  const readRenewal = (message: string): { readonly request: RenewalRequest; readonly signedBy: string } => {
    const name = agentOfRenewal(message, mesh);
    const keys = registry.renewalKeys(name);
    for (const [at, one] of keys.entries()) {
      try {
        return { request: openRenewal(message, one, mesh, name), signedBy: one };
      } catch (error) {
        if (at === keys.length - 1) throw error;
      }
    }
    throw new ControllerError('denied', `renewal: ${name} has no key`);
  };

  return Object.freeze({
    join: ({ message }) =>
      guarded('join', async () => {
        const id = tokenOfJoin(message);
        // One that is not known is refused before anything is computed for it.
        const request: JoinRequest = openJoin(
          message,
          registry.token(id) === undefined ? unknownToken() : tokenSecret(present, id),
          mesh,
        );
        const agent = await inTurn(() =>
          guard.once(request.nonce, request.timeMs, () => registry.join(request)),
        );
        const { agent: name, workloads, key } = agent;
        audit.record({
          verb: 'join',
          author: name,
          role: 'token',
          about: `agent/${name}`,
          after: { workloads, key, token: id },
        });
        options.keysMade(workloads);
        return grants.make(agent, request.nonce, workloads);
      }),

    renew: ({ message }) =>
      guarded('renew', async () => {
        const { request, signedBy } = readRenewal(message);
        const agent = await inTurn(() =>
          guard.once(request.nonce, request.timeMs, () => registry.renew(request, signedBy)),
        );
        if (request.next !== undefined) {
          const { agent: name, key } = agent;
          audit.record({
            verb: 'renew',
            author: name,
            role: 'agent',
            about: `agent/${name}`,
            after: { key },
          });
          await options.changed([]);
        }
        return grants.make(agent, request.nonce, request.services);
      }),

    async token({ host, workloads, ttlMs, sealTo: boxKey }, caller) {
      const excess = documentExcess(mesh, host, workloads);
      if (excess > 0) {
        throw new ControllerError(
          'invalid',
          `the identity of ${host} would be ${excess} bytes too long for a packet's header: give it fewer workloads`,
        );
      }
      const id = randomBytes(16).toString('hex');
      const nowMs = wallMs();
      const expiresMs = nowMs + ttlMs;
      const token = {
        id,
        host,
        root: present.publicKey,
        workloads: [...new Set(workloads)],
        issuedMs: nowMs,
        expiresMs,
      };
      await inTurn(() => registry.invite(token, caller));
      record('token', `host/${host}`, caller, {
        id,
        workloads: token.workloads,
        expires: new Date(expiresMs).toISOString(),
      });
      return {
        sealed: sealToken(boxKey, { id, secret: tokenSecret(present, id), expiresMs }),
      };
    },

    async revoke({ agent }, caller) {
      const services = await inTurn(() => registry.revoke(agent, caller));
      record('revoke', `agent/${agent}`, caller);
      options.cut(agent);
      await options.changed(services);
      return { services };
    },

    async rotate(request, caller) {
      if (request.what === 'root') return rotateRoot(caller);
      const services: string[] = [];
      let fromMs: number;
      if (request.what === 'agent') {
        const agent = required(request.agent, 'agent');
        fromMs = await inTurn(() => registry.rotateAgent(agent, caller));
        record('rotate', `agent/${agent}`, caller);
      } else {
        const service = required(request.service, 'service');
        fromMs = await inTurn(() => registry.rotateService(service, caller));
        record('rotate', `service/${service}`, caller);
        services.push(service);
      }
      await options.changed(services);
      return { fromMs };
    },
  });
}

function unknownToken(): never {
  throw new ControllerError(
    'denied',
    'join token: it is not known here: make another one with `weft token create`',
  );
}

/** The schema cannot say which name goes with which key. */
function required(name: string | undefined, field: string): string {
  if (name !== undefined) return name;
  throw new ControllerError('invalid', `rotate: ${field}: found nothing, expected its name`);
}
