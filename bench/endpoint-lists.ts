/** What a controller publishes for callers to reach services by: endpoint lists, with the keys of the services. */
import { Kvm } from '@nats-io/kv';
import { connect } from '@nats-io/transport-node';
import type { Endpoint } from '../src/protocol/endpoint-list.ts';
import { heartbeatParts } from '../src/protocol/heartbeat.ts';
import { readRoot } from '../src/protocol/root.ts';
import { publishedServiceKey } from '../src/protocol/service-key.ts';
import { signDocument, signingKey } from '../src/protocol/signed-document.ts';
import {
  configBucket,
  heartbeatSubject,
  publicationKey,
  publicationRepublish,
} from '../src/protocol/subjects.ts';

/** The epoch of the keys that `giveIdentity` gives. */
const EPOCH = 1;

/**
 * Lists the process of `agent` that runs as the endpoint of the services, by its own heartbeat; nobody while it is undefined.
 * @param services `orders.default`
 * @param number of the lists: greater each time
 */
export async function publishEndpoints(
  url: string,
  mesh: string,
  rootSeed: string,
  services: readonly string[],
  agent: string | undefined,
  number: number,
): Promise<void> {
  const root = readRoot(rootSeed);
  const connection = await connect({ servers: url });
  try {
    const endpoints: Endpoint[] = [];
    if (agent !== undefined) {
      for await (const message of connection.subscribe(heartbeatSubject(mesh, agent), { max: 1 })) {
        const { introduction } = heartbeatParts(message.string());
        endpoints.push({ agent, document: introduction, state: 'ready', labels: {} });
      }
    }
    const kv = await new Kvm(connection).create(configBucket(mesh), {
      republish: publicationRepublish(mesh),
    });
    for (const service of services) {
      const keys = [publishedServiceKey(root, mesh, service, EPOCH, 0)];
      const list = { version: 1, mesh, service, revision: [1, number], keys, endpoints };
      await kv.put(
        publicationKey('endpoints', service),
        signDocument(signingKey(root), 'weft-endpoints', list),
      );
    }
  } finally {
    await connection.close();
  }
}
