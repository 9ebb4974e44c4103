/**
 * A keyring as an enrolled agent has it, made from the mesh root without a controller: it issues its own identity,
 * and derives the service keys of the first epoch.
 */
import { generateKeyPairSync } from 'node:crypto';
import { createAgentKeys } from '../../src/protocol/agent-keys.ts';
import { type SignedPacket, signEvidence } from '../../src/protocol/evidence.ts';
import { issueIdentity } from '../../src/protocol/identity.ts';
import { introduction, readIntroduction, stateSession } from '../../src/protocol/introduction.ts';
import type { Keyring, ServiceKey } from '../../src/protocol/keyring.ts';
import { LIMITS } from '../../src/protocol/limits.ts';
import { isServiceName } from '../../src/protocol/names.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { readRoot } from '../../src/protocol/root.ts';
import {
  publishedServiceKey,
  serviceSecret,
  x25519PrivateKey,
  x25519PublicKey,
} from '../../src/protocol/service-key.ts';
import { openDocument, signDocument } from '../../src/protocol/signed-document.ts';

const EPOCH = 1;

export function createRootKeyring(options: {
  readonly rootSeed: string;
  readonly mesh: string;
  readonly agent: string;
  readonly workloads: readonly string[];
  readonly now: () => number;
}): Keyring {
  const { mesh, agent, now } = options;
  const root = readRoot(options.rootSeed);
  const rootKey = verificationKey(root.publicKey);
  const workloads = new Set(options.workloads);
  const keys = createAgentKeys();
  const own = generateKeyPairSync('x25519');
  const statement = stateSession(keys.signingKey, agent, own.publicKey);
  const serviceKeys = new Map<string, ServiceKey>();
  const privateKeys = new Map(
    [...workloads].map((service) => [service, x25519PrivateKey(serviceSecret(root, mesh, service, EPOCH))]),
  );

  const issue = (issuedAtMs: number) => {
    const { publicKey: signingKey, boxKey } = keys;
    const expiresAtMs = issuedAtMs + LIMITS.identityMs;
    const document = issueIdentity(root, mesh, {
      agent,
      signingKey,
      boxKey,
      workloads,
      issuedAtMs,
      expiresAtMs,
    });
    return { text: introduction(document, statement), renewAtMs: issuedAtMs + (LIMITS.identityMs * 2) / 3 };
  };
  let issued = issue(now());

  return Object.freeze({
    mesh,
    agent,
    privateKey: own.privateKey,
    fault: undefined,
    get document() {
      if (now() >= issued.renewAtMs) issued = issue(now());
      return issued.text;
    },
    serviceKey(service: string) {
      const known = serviceKeys.get(service);
      if (known !== undefined || !isServiceName(service)) return known;
      const { x25519 } = publishedServiceKey(root, mesh, service, EPOCH, 0);
      const key = { epoch: EPOCH, publicKey: x25519PublicKey(x25519) };
      serviceKeys.set(service, key);
      return key;
    },
    servicePrivateKey: (service: string, epoch: number) =>
      epoch === EPOCH ? privateKeys.get(service) : undefined,
    canServe: (service: string) => workloads.has(service),
    verify: (document: string) => readIntroduction(rootKey, mesh, document, now()),
    sign: (type: 'weft-heartbeat', payload: unknown) => signDocument(keys.signingKey, type, payload),
    signEvidence: (packet: SignedPacket) => signEvidence(keys.signingKey, mesh, packet),
    open: (type: Parameters<Keyring['open']>[0], text: string, bytesMax: number) =>
      openDocument(rootKey, type, text, bytesMax),
  });
}
