/** `weft explain`: what would happen to a request, and why. */
import type { KeyObject } from 'node:crypto';
import { asWeftError } from '../protocol/errors.ts';
import { checkIdentity } from '../protocol/identity.ts';
import { DEFAULT_NAMESPACE, parseServiceName, serviceParts } from '../protocol/names.ts';
import { withApi } from './api-client.ts';
import type { ContextOptions } from './context.ts';
import { EXIT, UsageError } from './exit.ts';
import {
  type AskedRequest,
  type ExplainedBackend,
  type ExplainedEndpoint,
  explain,
  explainEndpoints,
  readAskedRequest,
} from './explained-request.ts';
import { type Explained, explanationText } from './explanation-text.ts';
import { type OutputFormat, print } from './output.ts';
import { fetchPublished } from './published.ts';

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
    const own = await fetchPublished(api, key, mesh, asked.service);
    const request = explain(asked, own.snapshot, namespace);
    const endpoints: Record<string, readonly ExplainedEndpoint[] | null> = {};
    for (const { service, outcome } of request.backends) {
      if (outcome?.kind !== 'forwarded' || Object.hasOwn(endpoints, service)) continue;
      const { endpoints: list } =
        service === asked.service ? own : await fetchPublished(api, key, mesh, service);
      const identity = (document: string) => identityFault(key, mesh, document, service);
      endpoints[service] = list === undefined ? null : explainEndpoints(list, identity);
    }
    const { method: asMethod, target, hostname } = asked.routed;
    const explained: Explained = {
      request: { method: asMethod, target, host: hostname },
      from: from ?? null,
      namespace,
      service: asked.service,
      revision: own.snapshot?.revision ?? null,
      ...request,
      endpoints,
    };
    print(options.output, explained, () => explanationText(explained));
    return request.backends.some((backend) => canBeServed(backend, endpoints)) || isAnswer(request.ended)
      ? EXIT.done
      : EXIT.refused;
  });
}

function readRequest(
  method: string,
  url: string,
  headers: readonly string[],
  namespace: string,
): AskedRequest {
  try {
    return readAskedRequest(method, url, headers, namespace);
  } catch (error) {
    const { code, message } = asWeftError(error);
    if (code === 'internal') throw error;
    throw new UsageError(`an agent refuses such a request at its door (${code}): ${message}`);
  }
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
    const { workloads } = checkIdentity(key, mesh, document, Date.now());
    return workloads.has(service) ? '' : 'its identity does not let it serve this service';
  } catch (error) {
    return asWeftError(error).message;
  }
}
