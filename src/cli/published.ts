/** What the controller publishes about a service, checked as agents check it. */
import type { KeyObject } from 'node:crypto';
import type { ApiVerbs } from '../protocol/api.ts';
import { type EndpointList, readEndpointList } from '../protocol/endpoint-list.ts';
import { LIMITS } from '../protocol/limits.ts';
import { readSnapshot } from '../protocol/read-snapshot.ts';
import { openDocument } from '../protocol/signed-document.ts';
import type { Snapshot } from '../protocol/snapshot.ts';
import type { ApiClient } from './api-client.ts';

export interface Published {
  readonly snapshot: Snapshot | undefined;
  readonly endpoints: EndpointList | undefined;
  /** Agents that hold another snapshot. */
  readonly differing: NonNullable<ApiVerbs['snapshot']['response']['differing']>;
}

/** @throws Error if what is published is nothing that an agent would take */
export async function fetchPublished(
  api: ApiClient,
  rootKey: KeyObject,
  mesh: string,
  service: string,
): Promise<Published> {
  const { snapshot, endpoints, differing = [] } = await api.call('snapshot', { service });
  const read = <T extends { readonly service: string }>(
    type: 'weft-snapshot' | 'weft-endpoints',
    text: string | null,
    reader: (mesh: string, value: Readonly<Record<string, unknown>>) => T | undefined,
  ): T | undefined => {
    if (text === null) return undefined;
    const value = opened(rootKey, type, text, service);
    const document = reader(mesh, value);
    if (document?.service === service) return document;
    throw new Error(
      `the ${type.replace('weft-', '')} of ${service} are of a form that this release does not understand`,
    );
  };
  return {
    snapshot: read('weft-snapshot', snapshot, readSnapshot),
    endpoints: read('weft-endpoints', endpoints, readEndpointList),
    differing,
  };
}

function opened(
  rootKey: KeyObject,
  type: 'weft-snapshot' | 'weft-endpoints',
  text: string,
  service: string,
): Readonly<Record<string, unknown>> {
  try {
    return openDocument(rootKey, type, text, LIMITS.publicationBytesMax);
  } catch (cause) {
    throw new Error(
      `${service}: ${(cause as Error).message}; agents refuse it too. Is the root here that of the mesh?`,
      { cause },
    );
  }
}
