/** `weft describe`: everything that is known of one resource, service or agent. */
import type { AgentView, HistoryEntry, ResourceDocument } from '../protocol/api.ts';
import { DEFAULT_NAMESPACE, isLabel, serviceParts } from '../protocol/names.ts';
import { type ApiClient, withApi } from './api-client.ts';
import { ApiRefusal } from './api-refusal.ts';
import { conditionsOf } from './conditions.ts';
import type { ContextOptions } from './context.ts';
import { EXIT, UsageError } from './exit.ts';
import { endpointsTable, labelsText, revisionText } from './fleet-tables.ts';
import { indented, type OutputFormat, print, yamlText } from './output.ts';
import { allItems } from './pages.ts';
import { printable } from './printable.ts';
import { tableText } from './table.ts';
import { type NamespaceOptions, serviceOf, targetOf } from './target.ts';

export interface DescribeOptions extends ContextOptions, NamespaceOptions {
  readonly output: OutputFormat;
}

const HISTORY_SHOWN = 5;

export async function describe(words: readonly string[], options: DescribeOptions): Promise<number> {
  const [word = '', name = ''] = words.length === 1 ? words[0]!.split(/\/(.*)/, 2) : words;
  return withApi(options, async (api) => {
    switch (word.toLowerCase()) {
      case 'svc':
      case 'service':
      case 'services':
        await describeService(api, serviceOf(name, options), options.output);
        break;
      case 'agent':
      case 'agents':
        await describeAgent(api, name, options.output);
        break;
      default:
        await describeResource(api, words, options);
    }
    return EXIT.done;
  });
}

async function describeResource(
  api: ApiClient,
  words: readonly string[],
  options: DescribeOptions,
): Promise<void> {
  const target = targetOf(words, options);
  const { items } = await api.call('get', target);
  const { entries } = await api.call('history', target);
  const resource = items[0];
  if (resource === undefined) throw new Error(`there is no ${words.join(' ')}`);
  print(options.output, { resource, history: entries }, () => resourceText(resource) + historyText(entries));
}

async function describeService(api: ApiClient, service: string, output: OutputFormat): Promise<void> {
  const { items } = await api.call('services', { service });
  const endpoints = await allItems(api, 'endpoints', { service });
  const { name, namespace } = serviceParts(service);
  const resource = await ifThere(api.call('get', { kind: 'Service', namespace, name }));
  const view = items[0];
  if (view === undefined) throw new Error(`service ${service} is not known`);
  const data = { ...view, instances: endpoints, resource: resource?.items[0] };
  print(output, data, () => {
    const facts = pairs([
      ['service', service],
      ['snapshot', view.revision === null ? 'none published' : `revision ${revisionText(view.revision)}`],
      [
        'routes',
        view.routes.length === 0 ? 'none: its own endpoints get its requests' : view.routes.join(', '),
      ],
      ['endpoints', `${view.ready} of ${view.endpoints} ready`],
    ]);
    const table = endpoints.length === 0 ? '' : `\n${endpointsTable(endpoints, Date.now())}`;
    const own = resource?.items[0];
    return `${facts}${table}${own === undefined ? '' : `\n${resourceText(own)}`}`;
  });
}

async function describeAgent(api: ApiClient, agent: string, output: OutputFormat): Promise<void> {
  if (!isLabel(agent)) throw new UsageError('expected agent/NAME, with the host name of an agent');
  const { items } = await api.call('agents', { agent });
  const view = items[0];
  if (view === undefined) throw new Error(`no agent named ${agent} has been heard of`);
  print(output, view, () => agentText(view));
}

function resourceText(resource: ResourceDocument): string {
  const { kind, metadata, spec } = resource;
  const facts = pairs([
    ['kind', kind],
    ['name', metadata.name],
    ['namespace', metadata.namespace ?? DEFAULT_NAMESPACE],
    ['revision', String(metadata.revision ?? '')],
    ['created', metadata.creationTimestamp ?? ''],
    ['labels', labelsText(metadata.labels ?? {})],
  ]);
  const rows = conditionsOf(resource).map(({ parent, type, status, reason, message }) => [
    parent,
    type,
    status,
    reason,
    message,
  ]);
  const heads = ['parent', 'condition', 'status', 'reason', 'message'];
  const conditions = rows.length === 0 ? 'nothing is said of it\n' : tableText(heads, rows);
  return `${facts}\nstatus:\n${indented(conditions)}\nspec:\n${indented(yamlText(spec))}`;
}

function historyText(entries: readonly HistoryEntry[]): string {
  const rows = entries
    .toSorted((a, b) => b.revision - a.revision)
    .slice(0, HISTORY_SHOWN)
    .map(({ revision, time, author, action }) => [String(revision), time, author, action]);
  return `\nhistory, the latest first:\n${indented(tableText(['revision', 'time', 'author', 'action'], rows))}`;
}

function agentText(view: AgentView): string {
  const { agent, state, since, release, skewMs, identityExpires, workloads, applied, behind } = view;
  const { callers = [], astray = [], rivals } = view;
  const facts = pairs([
    ['agent', agent],
    ['state', `${state} since ${since}`],
    ['release', release],
    ['clock', `${Math.round(skewMs)} ms off the controller's`],
    ['identity', identityExpires === '' ? 'not known' : `valid until ${identityExpires}`],
    ['calls only', callers.join(', ')],
    ['behind', behind.join(', ')],
    ['astray', astray.length === 0 ? '' : `${astray.join(', ')}: holds what is not published, or newer`],
    ['rivals', rivals === undefined ? '' : `${rivals} more of this name`],
  ]);
  const instances = workloads.map((one) => ({
    ...one,
    host: agent,
    applied: applied[one.service] ?? null,
  }));
  const table =
    instances.length === 0 ? '' : `\nworkloads:\n${indented(endpointsTable(instances, Date.now()))}`;
  const held = Object.entries(applied).map(([service, revision]) => [service, revisionText(revision)]);
  const snapshots =
    held.length === 0 ? '' : `\nsnapshots:\n${indented(tableText(['service', 'applied'], held))}`;
  return `${facts}${table}${snapshots}`;
}

/** Names and what they have; those that have nothing are left out. */
function pairs(entries: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...entries.map(([name]) => name.length));
  return entries
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}\n`)
    .join('');
}

async function ifThere<T>(answer: Promise<T>): Promise<T | undefined> {
  return answer.catch((error: unknown) => {
    if (error instanceof ApiRefusal && error.code === 'not_found') return undefined;
    throw error;
  });
}
