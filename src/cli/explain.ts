/** `weft explain`: what would happen to a request, and why. */
import type { KeyObject } from 'node:crypto';
import { noService } from '../agent/outbound/router.ts';
import { asWeftError, type WeftError } from '../protocol/errors.ts';
import { readIntroduction } from '../protocol/introduction.ts';
import { DEFAULT_NAMESPACE, isServiceName, parseServiceName, serviceParts } from '../protocol/names.ts';
import { type ApiClient, withApi } from './api-client.ts';
import { ApiRefusal } from './api-refusal.ts';
import type { ContextOptions } from './context.ts';
import { EXIT, UsageError } from './exit.ts';
import {
  type AskedRequest,
  admitted,
  authorized,
  type ExplainedBackend,
  type ExplainedEndpoint,
  explain,
  explainEndpoints,
  readAskedRequest,
} from './explained-request.ts';
import { type Explained, explanationText } from './explanation-text.ts';
import { type OutputFormat, print } from './output.ts';
import { fetchPublished, type Published } from './published.ts';

export interface ExplainOptions extends ContextOptions {
  readonly header?: readonly string[];
  readonly from?: string;
  readonly output: OutputFormat;
}

/** @returns `refused` if the mesh itself would refuse every request like this one */
export async function explainCommand(method: string, url: string, options: ExplainOptions): Promise<number> {
  const from = options.from === undefined ? undefined : parseServiceName(options.from);
  if (options.from !== undefined && from === undefined) {
    throw new UsageError('--from: expected a service, like checkout or checkout.shop');
  }
  const namespace = from === undefined ? DEFAULT_NAMESPACE : serviceParts(from).namespace;
  // Methods are case-sensitive; whoever types `get` means GET all the same.
  const asked = readRequest(method.toUpperCase(), url, options.header ?? [], namespace);
  return withApi(options, async (api, { mesh, rootKey }) => {
    const key = await rootKey();
    const announced = from === undefined ? undefined : await isAnnounced(api, from);
    const published = new Map<string, Published>();
    const publishedOf = async (name: string): Promise<Published> => {
      const known = published.get(name) ?? (await fetchPublished(api, key, mesh, name));
      published.set(name, known);
      return known;
    };
    const service = (await publishedOf(asked.name)).snapshot?.aliasOf ?? asked.name;
    if (!isServiceName(service)) throw refusedAtDoor(noService(asked.authority));
    const own = await publishedOf(service);
    const request = explain(service, asked, own.snapshot, namespace);
    const backends: ExplainedBackend[] = [];
    const endpoints: Record<string, readonly ExplainedEndpoint[] | null> = {};
    for (const backend of request.backends) {
      if (backend.outcome?.kind !== 'forwarded') {
        backends.push(backend);
        continue;
      }
      const { snapshot, endpoints: list } = await publishedOf(backend.service);
      backends.push(
        authorized(admitted(backend, snapshot, namespace), mesh, snapshot, asked.routed.method, from),
      );
      const identity = (document: string) => identityFault(key, mesh, document, backend.service);
      endpoints[backend.service] = list === undefined ? null : explainEndpoints(list, identity);
    }
    const differing = [...published].flatMap(([name, one]) =>
      one.differing.map((held) => ({ service: name, ...held })),
    );
    const { method: asMethod, target, hostname } = asked.routed;
    const explained: Explained = {
      request: { method: asMethod, target, host: hostname },
      from: from ?? null,
      ...(announced === undefined ? {} : { fromAnnounced: announced }),
      namespace,
      alias: service === asked.name ? null : asked.name,
      service,
      revision: own.snapshot?.revision ?? null,
      ...(differing.length === 0 ? {} : { differing }),
      ...request,
      backends,
      endpoints,
    };
    print(options.output, explained, () => explanationText(explained));
    return backends.some((backend) => canBeServed(backend, endpoints)) || isAnswer(request.ended)
      ? EXIT.done
      : EXIT.refused;
  });
}

/**
 * Whether any agent serves it, as far as the controller knows: of a service that nobody serves, its name may be misspelt.
 * A hint only, so nothing is waited for; undefined if it cannot be had.
 */
function isAnnounced(api: ApiClient, service: string): Promise<boolean | undefined> {
  return api.call('services', { service }, 0).then(
    ({ items }) => items.length > 0,
    (error: unknown) => (error instanceof ApiRefusal && error.code === 'not_found' ? false : undefined),
  );
}

/** @throws UsageError if no agent takes such a request */
export function readRequest(
  method: string,
  url: string,
  headers: readonly string[],
  namespace: string,
): AskedRequest {
  try {
    return readAskedRequest(method, url, headers, namespace);
  } catch (error) {
    const refusal = asWeftError(error);
    if (refusal.code === 'internal') throw error;
    throw refusedAtDoor(refusal);
  }
}

export function refusedAtDoor({ code, message }: WeftError): UsageError {
  return new UsageError(`an agent refuses such a request at its door (${code}): ${message}`);
}

function isAnswer(outcome: ExplainedBackend['outcome']): boolean {
  return outcome?.kind === 'answered';
}

function canBeServed(
  { outcome, service }: ExplainedBackend,
  endpoints: Readonly<Record<string, readonly ExplainedEndpoint[] | null>>,
): boolean {
  if (outcome?.kind !== 'forwarded') return isAnswer(outcome);
  return endpoints[service]?.some(({ eligible }) => eligible) === true;
}

/** Why an agent would not send to who has that identity; '' if it would. */
function identityFault(key: KeyObject, mesh: string, document: string, service: string): string {
  try {
    const { workloads } = readIntroduction(key, mesh, document, Date.now());
    return workloads.has(service) ? '' : 'its identity does not let it serve this service';
  } catch (error) {
    return asWeftError(error).message;
  }
}
