import { kindOf } from '../controller/resources/resource.ts';
import type { ApiVerbs, ResourceDocument } from '../protocol/api.ts';
import { DEFAULT_NAMESPACE, serviceParts } from '../protocol/names.ts';
import { type ApiClient, withApi } from './api-client.ts';
import { verdict } from './conditions.ts';
import type { ContextOptions } from './context.ts';
import { EXIT } from './exit.ts';
import {
  agentsTable,
  endpointsTable,
  identitiesTable,
  operatorsTable,
  servicesTable,
} from './fleet-tables.ts';
import { note, type OutputFormat, print } from './output.ts';
import { allItems } from './pages.ts';
import { tableText } from './table.ts';
import { type NamespaceOptions, namespaceOf, serviceOf, targetOf, unknownKind } from './target.ts';

export interface GetOptions extends ContextOptions, NamespaceOptions {
  readonly allNamespaces?: boolean;
  readonly output: OutputFormat;
}

/** What can be listed beside kinds of resources. */
export const VIEWS: readonly string[] = ['services', 'endpoints', 'agents', 'identities', 'operators', 'all'];
/** What they may be called; `service` is a kind. */
const VIEW_WORDS: readonly string[] = [...VIEWS, 'endpoint', 'agent', 'identity', 'operator'];

/**
 * `weft get`: resources, or what the controller sees of the mesh. JSON and YAML of resources can be applied again.
 */
export async function get(words: readonly string[], options: GetOptions): Promise<number> {
  const [word = '', name] = words.length === 1 ? splitTarget(words[0]!) : words;
  const lower = word.toLowerCase();
  const isView = VIEW_WORDS.includes(lower);
  const kind = kindOf(word);
  if (!isView && kind === undefined) throw unknownKind(word, VIEWS);
  if (!isView && name !== undefined) {
    const target = targetOf(words, options);
    return withApi(options, async (api) => {
      const { items } = await api.call('get', target);
      print(options.output, items[0], () => resourcesTable(items, false));
      return EXIT.done;
    });
  }
  const namespace = options.allNamespaces === true ? undefined : namespaceOf(options);
  return withApi(options, async (api) => {
    switch (lower) {
      case 'services':
        return services(api, name, namespace, options);
      case 'endpoint':
      case 'endpoints':
        return endpoints(api, name, namespace, options);
      case 'agent':
      case 'agents':
        return agents(api, name, options);
      case 'operator':
      case 'operators':
        return operators(api, name, options);
      case 'identity':
      case 'identities':
        return identities(api, name, options);
      default:
        return resources(api, kind?.kind, namespace, options);
    }
  });
}

async function resources(
  api: ApiClient,
  kind: string | undefined,
  namespace: string | undefined,
  { output }: GetOptions,
): Promise<number> {
  const request: ApiVerbs['get']['request'] = {
    ...(kind === undefined ? {} : { kind }),
    ...(namespace === undefined ? {} : { namespace }),
  };
  const items = await allItems(api, 'get', request);
  if (items.length === 0) noteNone(kind === undefined ? 'resources' : `resources of kind ${kind}`, namespace);
  const list = { apiVersion: 'v1', kind: 'List', items };
  print(output, list, () => (items.length === 0 ? '' : resourcesTable(items, namespace === undefined)));
  return EXIT.done;
}

async function services(
  api: ApiClient,
  name: string | undefined,
  namespace: string | undefined,
  options: GetOptions,
): Promise<number> {
  const service = name === undefined ? undefined : serviceOf(name, options);
  const all = await allItems(api, 'services', service === undefined ? {} : { service });
  const items = service === undefined ? all.filter((one) => isIn(one.service, namespace)) : all;
  if (items.length === 0) noteNone('services', namespace);
  print(options.output, { items }, () => (items.length === 0 ? '' : servicesTable(items)));
  return EXIT.done;
}

async function endpoints(
  api: ApiClient,
  name: string | undefined,
  namespace: string | undefined,
  options: GetOptions,
): Promise<number> {
  const service = name === undefined ? undefined : serviceOf(name, options);
  const all = await allItems(api, 'endpoints', service === undefined ? {} : { service });
  const items = service === undefined ? all.filter((one) => isIn(one.service, namespace)) : all;
  if (items.length === 0)
    noteNone(service === undefined ? 'endpoints' : `endpoints of ${service}`, namespace);
  print(options.output, { items }, () => (items.length === 0 ? '' : endpointsTable(items, Date.now())));
  return EXIT.done;
}

async function agents(api: ApiClient, name: string | undefined, { output }: GetOptions): Promise<number> {
  const items = await allItems(api, 'agents', name === undefined ? {} : { agent: name });
  if (items.length === 0) note('there are no agents');
  print(output, { items }, () => (items.length === 0 ? '' : agentsTable(items, Date.now())));
  return EXIT.done;
}

async function operators(api: ApiClient, name: string | undefined, { output }: GetOptions): Promise<number> {
  const all = await allItems(api, 'operators', {});
  const items = all.filter((one) => name === undefined || one.name === name);
  if (items.length === 0) note('the controller has heard of no operators');
  print(output, { items }, () => (items.length === 0 ? '' : operatorsTable(items)));
  return EXIT.done;
}

async function identities(api: ApiClient, name: string | undefined, { output }: GetOptions): Promise<number> {
  const items = await allItems(api, 'identities', name === undefined ? {} : { agent: name });
  if (items.length === 0) note('nobody is enrolled, and no join token is open');
  print(output, { items }, () => (items.length === 0 ? '' : identitiesTable(items)));
  return EXIT.done;
}

function resourcesTable(items: readonly ResourceDocument[], everywhere: boolean): string {
  const rows = items.map((item) => [
    everywhere ? (item.metadata.namespace ?? DEFAULT_NAMESPACE) : '',
    `${item.kind.toLowerCase()}/${item.metadata.name}`,
    String(item.metadata.revision ?? ''),
    verdict(item, 'Accepted'),
    verdict(item, 'ResolvedRefs'),
    verdict(item, 'Programmed'),
  ]);
  return tableText(['namespace', 'name', 'revision', 'accepted', 'resolvedrefs', 'programmed'], rows);
}

function splitTarget(word: string): readonly string[] {
  const slash = word.indexOf('/');
  return slash < 0 ? [word] : [word.slice(0, slash), word.slice(slash + 1)];
}

function isIn(service: string, namespace: string | undefined): boolean {
  return namespace === undefined || serviceParts(service).namespace === namespace;
}

function noteNone(what: string, namespace: string | undefined): void {
  const where = namespace === undefined ? '' : ` in the namespace ${namespace} (-A shows all namespaces)`;
  note(`there are no ${what}${where}`);
}
