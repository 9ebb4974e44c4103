/** 1,000 rules for the bench's service, published as the controller would: the last one alone takes the bench's requests. */
import { readFile } from 'node:fs/promises';
import { Kvm } from '@nats-io/kv';
import { connect } from '@nats-io/transport-node';
import { readRoot } from '../src/protocol/root.ts';
import { signDocument, signingKey } from '../src/protocol/signed-document.ts';
import type { Match, Rule, Snapshot } from '../src/protocol/snapshot.ts';
import { configBucket, publicationKey, publicationRepublish } from '../src/protocol/subjects.ts';

const RULES = 1_000;
const SERVICE = 'orders.default';

export async function publishThousandRoutes(url: string, mesh: string, rootFile: string): Promise<void> {
  const backends = [{ service: SERVICE, weight: 1, filters: [] }];
  const rules: Rule[] = [];
  const matches: Match[] = [];
  for (let index = 0; index < RULES; index++) {
    const value = index === RULES - 1 ? '/' : `/other/${index}`;
    rules.push({ route: 'default/orders', index, filters: [], backends, timeouts: {} });
    matches.push({ rule: index, path: { type: 'PathPrefix', value }, headers: [], query: [] });
  }
  const snapshot: Snapshot = {
    version: 1,
    mesh,
    service: SERVICE,
    revision: [1, 1],
    producer: { rules, matches },
    consumers: {},
  };
  const connection = await connect({ servers: url });
  try {
    const kv = await new Kvm(connection).create(configBucket(mesh), {
      republish: publicationRepublish(mesh),
    });
    const key = signingKey(readRoot(await readFile(rootFile, 'utf8')));
    await kv.put(publicationKey('snapshot', SERVICE), signDocument(key, 'weft-snapshot', snapshot));
  } finally {
    await connection.close();
  }
}
