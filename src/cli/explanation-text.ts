/** An explained request for people. */
import { LIMITS } from '../protocol/limits.ts';
import type { Revision } from '../protocol/revision.ts';
import { sessionText } from '../protocol/routes/session-text.ts';
import {
  type Filter,
  type HeaderModifier,
  type Match,
  type PathModifier,
  type Rule,
  ruleName,
  type ValueMatch,
} from '../protocol/snapshot.ts';
import { authorizationText } from './explained-authorization.ts';
import type { ExplainedBackend, ExplainedEndpoint, ExplainedRequest, Outcome } from './explained-request.ts';
import { labelsText } from './fleet-tables.ts';
import { indented } from './output.ts';
import { printable } from './printable.ts';
import { tableText } from './table.ts';

export interface Explained extends ExplainedRequest {
  readonly request: { readonly method: string; readonly target: string; readonly host: string };
  readonly from: string | null;
  /** Whether the controller knows of an agent that serves it; absent if that was not to be had. */
  readonly fromAnnounced?: boolean;
  readonly namespace: string;
  /** What was asked for, if it is an alias of `service`. */
  readonly alias: string | null;
  readonly service: string;
  readonly revision: Revision | null;
  /** Agents that hold other snapshots than the published ones, which all of this is about; absent if there are none. */
  readonly differing?: readonly {
    readonly service: string;
    readonly agent: string;
    readonly revision: Revision;
  }[];
  /** By the service of the backend; null where no list is published. */
  readonly endpoints: Readonly<Record<string, readonly ExplainedEndpoint[] | null>>;
}

export function explanationText(explained: Explained): string {
  const { request, alias, service, revision, rule, ended, backends } = explained;
  const lines = [
    `request   ${request.method} ${request.target}, host ${request.host}`,
    `from      ${callerText(explained)}`,
    ...(alias === null ? [] : [`alias     ${alias} is an alias of ${service}`]),
    `service   ${service}`,
    `snapshot  ${revision === null ? 'none published' : `revision ${revision[1]}, signed by the root`}`,
    ...differingLines(explained),
    `routes    ${routesText(explained)}`,
  ];
  const parts = [lines.map((line) => `${printable(line)}\n`).join(''), consideredText(explained)];
  if (rule !== undefined) parts.push(ruleText(rule));
  if (ended !== undefined) parts.push(`\nresult    ${outcomeText(ended)}\n`);
  if (backends.length > 0)
    parts.push(`\nbackends\n${indented(backends.map((one) => backendText(one, explained)).join(''))}`);
  if (rule === undefined && ended === undefined) parts.push(`\n${timesText(undefined)}`);
  return parts.join('');
}

function callerText({ from, fromAnnounced, namespace }: Explained): string {
  if (from === null) return `anybody in the namespace ${namespace}`;
  return fromAnnounced === false
    ? `${from}: nobody announces that service; it only calls others, or its name is misspelt`
    : from;
}

function differingLines({ differing = [] }: Explained): string[] {
  return [...Map.groupBy(differing, ({ service }) => service)].map(([service, those]) => {
    const agents = those.map(({ agent, revision }) => `${agent} (revision ${revision[1]})`).join(', ');
    return `differing ${agents}: another snapshot of ${service} than the published one; until that changes they may do something else`;
  });
}

function routesText({ routes, considered, rule, ended, namespace }: Explained): string {
  if (routes === 'none') return 'none attached: requests go to the endpoints of the service itself';
  const whose =
    routes === 'consumer' ? `of the caller's namespace ${namespace}, which has its own` : 'of the service';
  const aside = rule === undefined && ended === undefined ? '; none for this port' : '';
  return `${whose}, ${considered.length} ${considered.length === 1 ? 'match' : 'matches'}${aside}`;
}

function consideredText({ considered, rule }: Explained): string {
  if (considered.length === 0) return '';
  const winner = rule === undefined ? -1 : considered.findIndex(({ verdict }) => verdict === 'matches');
  const rows = considered.map((one, at) => [
    at === winner ? '>' : ' ',
    String(at + 1),
    `${one.route} rule ${one.rule}`,
    matchText(one.match),
    winner >= 0 && at > winner && one.verdict === 'matches' ? 'matches, but comes later' : one.verdict,
  ]);
  const table = tableText([' ', '#', 'rule', 'match', 'verdict'], rows);
  return `\nrules considered, in the order of precedence\n${indented(table)}`;
}

function matchText({ path, method, headers, query, port }: Match): string {
  const parts = [path.type === 'PathPrefix' && path.value === '/' ? 'any path' : `path ${pathText(path)}`];
  if (port !== undefined) parts.push(`port ${port}`);
  if (method !== undefined) parts.push(`method ${method}`);
  parts.push(
    ...headers.map((one) => `header ${valueText(one)}`),
    ...query.map((one) => `query ${valueText(one)}`),
  );
  return parts.join(', ');
}

function pathText({ type, value }: Match['path']): string {
  if (type === 'Exact') return `= ${value}`;
  return type === 'PathPrefix' ? `prefix ${value}` : `pattern ${value}`;
}

function valueText({ type, name, value }: ValueMatch): string {
  return type === 'Exact' ? `${name} = ${value}` : `${name} pattern ${value}`;
}

function ruleText(rule: Rule): string {
  const name = rule.name === undefined ? '' : ` (${rule.name})`;
  const filters = rule.filters.map((filter) => `filter    ${filterText(filter)}\n`).join('');
  const session =
    rule.session === undefined
      ? ''
      : `session   ${sessionText(rule.session)}; one that is alive goes on where it began, whatever the weights\n`;
  const winner = `\nwinner    ${ruleName(rule)}${name}\n`;
  return printableLines(`${winner}${filters}${session}${timesText(rule)}`);
}

function timesText(rule: Rule | undefined): string {
  const { requestMs, backendRequestMs } = rule?.timeouts ?? {};
  const request =
    requestMs === undefined && backendRequestMs === undefined
      ? `${LIMITS.responseHeadTimeoutMs} ms to the response head (the mesh's default)`
      : `${msText(requestMs)} for all of it, ${msText(backendRequestMs)} for each try`;
  return `timeouts  ${request}\nretries   ${retryText(rule)}\n`;
}

function msText(ms: number | undefined): string {
  return ms === undefined || ms === 0 ? 'no limit' : `${ms} ms`;
}

function retryText(rule: Rule | undefined): string {
  const retry = rule?.retry;
  if (retry === undefined) {
    return `${LIMITS.retriesMax} more if no application has seen the request (the mesh's default)`;
  }
  const { attempts, codes, backoffMs } = retry;
  const when =
    codes.length === 0
      ? 'after connection errors, if the request is safe to repeat'
      : `after connection errors and status ${codes.join(', ')}`;
  return `${attempts} more ${when}, at least ${backoffMs} ms apart`;
}

function filterText(filter: Filter): string {
  switch (filter.type) {
    case 'RequestHeaderModifier':
    case 'ResponseHeaderModifier':
      return `${filter.type}: ${modifierText(filter.modifier)}`;
    case 'RequestRedirect':
      return `RequestRedirect: status ${filter.redirect.status}`;
    case 'URLRewrite': {
      const { hostname, path } = filter.rewrite;
      const parts = [
        hostname === undefined ? '' : `host ${hostname}`,
        path === undefined ? '' : rewriteText(path),
      ];
      return `URLRewrite: ${parts.filter((part) => part !== '').join(', ')}`;
    }
    case 'RequestMirror':
      return `RequestMirror: ${percent(filter.mirror.fraction)} to ${filter.mirror.service}`;
    case 'CORS':
      return `CORS: origins ${filter.cors.origins.join(', ') || 'none'}`;
    case 'ExternalAuth': {
      const { service, path, bodyBytesMax } = filter.auth;
      const what = `${path === '' ? '' : `, at ${path}`}${bodyBytesMax === 0 ? '' : `, with bodies up to ${bodyBytesMax} bytes`}`;
      return `ExternalAuth: ${service} is asked first${what}; what is told below holds if it answers 200`;
    }
    case 'Unsupported':
      return `unsupported, requests get 500: ${filter.what}`;
  }
}

function modifierText({ set, add, remove }: HeaderModifier): string {
  return [
    ...set.map(([name, value]) => `set ${name}: ${value}`),
    ...add.map(([name, value]) => `add ${name}: ${value}`),
    ...remove.map((name) => `remove ${name}`),
  ].join('; ');
}

function rewriteText(path: PathModifier): string {
  return path.type === 'ReplaceFullPath' ? `path ${path.value}` : `prefix ${path.prefix} by ${path.value}`;
}

function backendText(backend: ExplainedBackend, { endpoints }: Explained): string {
  const { service, weight, share, filters, outcome, authorization } = backend;
  const head = `${service}  weight ${weight}, ${percent(share)} of the requests\n`;
  const lines = filters.map((filter) => `  filter  ${filterText(filter)}\n`);
  if (backend.invalid !== undefined) lines.push(`  invalid  ${backend.invalid}\n`);
  if (authorization !== undefined) lines.push(`  authorize  ${authorizationText(authorization)}\n`);
  if (outcome !== undefined) lines.push(`  ${outcomeText(outcome)}\n`);
  const asked = outcome?.kind === 'forwarded' ? endpointsText(endpoints[service] ?? null) : '';
  return printableLines(`${head}${lines.join('')}`) + indented(asked);
}

function outcomeText(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'forwarded': {
      const { mirrors, target } = outcome;
      return `is asked for ${target}${mirrors.length === 0 ? '' : `; copies may go to ${mirrors.join(', ')}`}`;
    }
    case 'answered': {
      const at = outcome.fields.indexOf('location');
      const location = at >= 0 && at % 2 === 0 ? `, location ${outcome.fields[at + 1]}` : '';
      return printable(`a filter answers with status ${outcome.status}${location}`);
    }
    case 'refused':
      return printable(`the agent answers ${outcome.status} ${outcome.code}: ${outcome.message}`);
  }
}

/** What an agent does that can pick nobody (ARCHITECTURE.md, "Endpoints come from the controller's list, else from answers"). */
const BUS_ASKED =
  'the bus is asked all the same. If nobody serves it, the agent answers 503 no_endpoint at once; if only an agent that ' +
  `hangs does, 503 not_accepted after ${LIMITS.acceptTimeoutMs / 1000} s\n`;

function endpointsText(endpoints: readonly ExplainedEndpoint[] | null): string {
  if (endpoints === null) return 'nobody has announced it: the bus is asked whether anyone serves it\n';
  if (endpoints.length === 0) return `no endpoints: ${BUS_ASKED}`;
  const rows = endpoints.map(({ agent, state, labels, eligible, why }) => [
    agent,
    state,
    eligible ? 'yes' : `no: ${why}`,
    labelsText(labels),
  ]);
  const none = endpoints.some(({ eligible }) => eligible) ? '' : `none of them can be picked: ${BUS_ASKED}`;
  return tableText(['endpoint', 'state', 'can be picked', 'labels'], rows) + none;
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(2))} %`;
}

function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
