/** What a controller publishes for callers to know by which key services are reached: endpoint lists, here with nobody in them. */
import { Kvm } from '@nats-io/kv';
import { connect } from '@nats-io/transport-node';
import { readRoot } from '../src/protocol/root.ts';
import { publishedServiceKey } from '../src/protocol/service-key.ts';
import { signDocument, signingKey } from '../src/protocol/signed-document.ts';
import { configBucket, publicationKey, publicationRepublish } from '../src/protocol/subjects.ts';

/** The epoch of the keys that `giveIdentity` gives. */
const EPOCH = 1;

/** The bus picks among those that serve, as it does while nobody is listed. @param services `orders.default` */
export async function publishServiceKeys(
  url: string,
  mesh: string,
  rootSeed: string,
  services: readonly string[],
): Promise<void> {
  const root = readRoot(rootSeed);
  const connection = await connect({ servers: url });
  try {
    const kv = await new Kvm(connection).create(configBucket(mesh), {
      republish: publicationRepublish(mesh),
    });
    for (const service of services) {
      const keys = [publishedServiceKey(root, mesh, service, EPOCH, 0)];
      const list = { version: 1, mesh, service, revision: [1, 1], keys, endpoints: [] };
      await kv.put(
        publicationKey('endpoints', service),
        signDocument(signingKey(root), 'weft-endpoints', list),
      );
    }
  } finally {
    await connection.close();
  }
}
