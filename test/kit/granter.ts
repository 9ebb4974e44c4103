/**
 * What a controller does for identities, by hand and from the protocol's functions: answers `join` and `renew`, and publishes
 * the trust list and endpoint lists with service keys. It does as it is told: a test has it be away, slow or wrong.
 */
import { randomBytes } from 'node:crypto';
import { connect } from '@nats-io/transport-node';
import type { ExecutionContext } from 'ava';
import nacl from 'tweetnacl';
import {
  agentOfRenewal,
  type Grant,
  joinTokenText,
  openJoin,
  openRenewal,
  sealTo,
  tokenOfJoin,
  tokenSecret,
} from '../../src/protocol/enrolment.ts';
import { heartbeatParts } from '../../src/protocol/heartbeat.ts';
import { issueIdentity } from '../../src/protocol/identity.ts';
import type { Revision } from '../../src/protocol/revision.ts';
import { readRoot } from '../../src/protocol/root.ts';
import {
  type PublishedServiceKey,
  publishedServiceKey,
  serviceSecret,
} from '../../src/protocol/service-key.ts';
import { signDocument, signingKey } from '../../src/protocol/signed-document.ts';
import { apiSubject, heartbeatsSubject, publicationKey } from '../../src/protocol/subjects.ts';
import { type Cutoff, TRUST_NAME } from '../../src/protocol/trust-list.ts';
import { MESH } from './mesh.ts';
import { type Publisher, sealed, startPublisher } from './publisher.ts';

interface Enrolled {
  readonly key: string;
  readonly x25519: string;
  readonly workloads: readonly string[];
}

interface Settings {
  /** How long the identities hold that it issues, ms. */
  lifeMs: number;
  /** Its clock minus the real one, ms. */
  aheadMs: number;
  /** What it answers instead of a grant. */
  refuses: { readonly code: string; readonly message: string } | undefined;
  /** It hears nothing. */
  away: boolean;
  /** Grants and lists with the keys of services; without, callers do not know how to seal for a service. */
  revisions: Record<string, Revision>;
}

export interface Granter {
  readonly settings: Settings;
  readonly publisher: Publisher;
  /** `join web-1`, `renew web-1 new keys`: what it has been asked, in order. */
  readonly asked: readonly string[];
  /** The text of a token for a host. */
  invite(host: string, workloads: readonly string[]): string;
  /** Publishes who serves a service now, by heartbeats. Resolves with the revision. */
  publishList(service: string, agents?: readonly string[]): Promise<void>;
  /** Begins another key of a service `inMs` from now, and publishes it if `told`. */
  nextKey(service: string, inMs: number): void;
  /** Cuts an agent off, or has it make new keys, as of now; and publishes that. */
  publishTrust(list: {
    readonly revoked?: readonly Cutoff[];
    readonly renew?: readonly Cutoff[];
    /** Public NKeys; its own alone if they are not said. */
    readonly roots?: readonly string[];
  }): Promise<void>;
  /** The introduction that an agent has announced last. */
  introductionOf(agent: string): string | undefined;
  readonly keys: ReadonlyMap<string, readonly PublishedServiceKey[]>;
}

export async function startGranter(t: ExecutionContext, url: string, seed: string): Promise<Granter> {
  const root = readRoot(seed);
  const publisher = await startPublisher(t, url, seed);
  const bus = await connect({ servers: url });
  t.teardown(() => bus.close());
  const settings: Settings = {
    lifeMs: 3_600_000,
    aheadMs: 0,
    refuses: undefined,
    away: false,
    revisions: {},
  };
  const nowMs = () => Date.now() + settings.aheadMs;
  const invited = new Map<string, { host: string; workloads: readonly string[]; usedBy?: string }>();
  const enrolled = new Map<string, Enrolled>();
  const keys = new Map<string, PublishedServiceKey[]>();
  const cut = new Map<string, number>();
  const introductions = new Map<string, string>();
  /** Whom the last list of a service has. */
  const listed = new Map<string, readonly string[]>();
  const asked: string[] = [];
  const own = nacl.box.keyPair();
  let trust = '';
  let number = 0;

  const keysOf = (service: string) => {
    const known = keys.get(service) ?? [publishedServiceKey(root, MESH, service, 1, 0)];
    keys.set(service, known);
    return known;
  };

  function grant(agent: string, nonce: string): string {
    const { key, x25519, workloads } = enrolled.get(agent) as Enrolled;
    const boxKey = Buffer.from(x25519, 'base64url');
    const seal = sealTo(boxKey, own.secretKey);
    // What is given to who was cut off holds from then on.
    const issuedAtMs = Math.max(nowMs(), cut.get(agent) ?? 0);
    const made: Grant = {
      mesh: MESH,
      agent,
      nonce,
      timeMs: nowMs(),
      identity: issueIdentity(root, MESH, {
        agent,
        signingKey: key,
        boxKey,
        workloads: new Set(workloads),
        issuedAtMs,
        expiresAtMs: issuedAtMs + settings.lifeMs,
      }),
      sealedBy: Buffer.from(own.publicKey).toString('base64url'),
      keys: workloads.flatMap((service) =>
        keysOf(service).map(({ epoch }) => {
          return { service, epoch, sealed: seal(serviceSecret(root, MESH, service, epoch)) };
        }),
      ),
      trust,
      revisions: settings.revisions,
    };
    return signDocument(signingKey(root), 'weft-grant', made);
  }

  function answered(answer: (message: string) => string, message: string) {
    if (settings.refuses !== undefined) asked.push('refused');
    if (settings.refuses !== undefined) return { ok: false, error: settings.refuses };
    try {
      return { ok: true, response: { grant: answer(message) } };
    } catch (error) {
      return { ok: false, error: { code: 'denied', message: (error as Error).message } };
    }
  }

  const answers: Record<string, (message: string) => string> = {
    join(message) {
      const token = invited.get(tokenOfJoin(message));
      const { host, key, x25519, nonce } = openJoin(message, tokenSecret(root, tokenOfJoin(message)), MESH);
      asked.push(`join ${host}`);
      if (token?.host !== host) throw new Error('the token is of another host');
      if (token.usedBy !== undefined && token.usedBy !== key) throw new Error('the token has been used');
      token.usedBy = key;
      enrolled.set(host, { key, x25519, workloads: token.workloads });
      return grant(host, nonce);
    },
    renew(message) {
      const agent = agentOfRenewal(message, MESH);
      const known = enrolled.get(agent);
      if (known === undefined) throw new Error(`${agent} is not enrolled`);
      const { nonce, next } = openRenewal(message, known.key, MESH, agent);
      asked.push(`renew ${agent}${next === undefined ? '' : ' new keys'}`);
      if (next !== undefined) enrolled.set(agent, { ...known, key: next.key, x25519: next.x25519 });
      return grant(agent, nonce);
    },
  };
  for (const [verb, answer] of Object.entries(answers)) {
    bus.subscribe(apiSubject(MESH, verb), {
      callback(_error, message) {
        if (settings.away) return;
        message.respond(JSON.stringify(answered(answer, (message.json() as { message: string }).message)));
      },
    });
  }
  bus.subscribe(heartbeatsSubject(MESH), {
    callback(_error, { subject, data }) {
      const { introduction } = heartbeatParts(Buffer.from(data).toString('latin1'));
      const agent = subject.slice(subject.lastIndexOf('.') + 1);
      const before = introductions.get(agent);
      introductions.set(agent, introduction);
      // As a controller does: whoever shows itself anew is listed anew.
      if (before === undefined || before === introduction) return;
      for (const [service, agents] of listed) {
        if (agents.includes(agent)) void publishList(service, agents);
      }
    },
  });
  await bus.flush();

  async function publishList(service: string, agents?: readonly string[]): Promise<void> {
    const serving =
      agents ?? [...enrolled].filter(([, one]) => one.workloads.includes(service)).map(([agent]) => agent);
    listed.set(service, serving);
    const endpoints = serving.flatMap((agent) => {
      const document = introductions.get(agent);
      return document === undefined ? [] : [{ agent, document, state: 'ready', labels: {} }];
    });
    const revision: Revision = [1, ++number];
    const list = { version: 1, mesh: MESH, service, revision, keys: keysOf(service), endpoints };
    await publisher.put('endpoints', service, sealed(seed, 'endpoints', list));
  }

  return {
    settings,
    publisher,
    asked,
    keys,
    invite(host, workloads) {
      const id = randomBytes(16).toString('hex');
      invited.set(id, { host, workloads });
      return joinTokenText({
        mesh: MESH,
        host,
        root: root.publicKey,
        id,
        secret: tokenSecret(root, id),
        nats: [url],
      });
    },
    publishList,
    nextKey(service, inMs) {
      const known = keysOf(service);
      const epoch = (known.at(-1)?.epoch ?? 0) + 1;
      keys.set(service, [
        ...known.slice(-1),
        publishedServiceKey(root, MESH, service, epoch, Date.now() + inMs),
      ]);
    },
    async publishTrust({ revoked = [], renew = [], roots = [root.publicKey] }) {
      for (const { agent, beforeMs } of revoked) cut.set(agent, beforeMs);
      const revision: Revision = [1, ++number];
      const list = {
        version: 1,
        mesh: MESH,
        service: TRUST_NAME,
        revision,
        roots,
        revoked,
        renew,
      };
      trust = sealed(seed, 'trust', list);
      settings.revisions = { ...settings.revisions, [publicationKey('trust', TRUST_NAME)]: revision };
      await publisher.put('trust', TRUST_NAME, trust);
    },
    introductionOf: (agent) => introductions.get(agent),
  };
}
