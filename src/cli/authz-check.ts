/** `weft authz check`: may one service do that at another, and by which rule? */

import { noService } from '../agent/outbound/router.ts';
import { compileAuthorization } from '../controller/compile/compile-authorization.ts';
import { createCompileIndex } from '../controller/compile/resource-graph.ts';
import { resourceKey } from '../controller/resources/resource.ts';
import { validateResource } from '../controller/resources/validate.ts';
import type { ResourceDocument } from '../protocol/api.ts';
import type { Authorization, DefaultAction } from '../protocol/authorization/authorization.ts';
import { ERRORS } from '../protocol/errors.ts';
import { DEFAULT_NAMESPACE, isServiceName, parseServiceName, serviceParts } from '../protocol/names.ts';
import { NO_REVISION, type Revision } from '../protocol/revision.ts';
import { type ApiClient, withApi } from './api-client.ts';
import type { ContextOptions } from './context.ts';
import { EXIT, UsageError } from './exit.ts';
import { readRequest, refusedAtDoor } from './explain.ts';
import {
  authorizationText,
  type ExplainedAuthorization,
  explainAuthorization,
} from './explained-authorization.ts';
import { indented, type OutputFormat, print } from './output.ts';
import { allItems } from './pages.ts';
import { printable } from './printable.ts';
import { fetchPublished } from './published.ts';
import { tableText } from './table.ts';

export interface AuthzCheckOptions extends ContextOptions {
  readonly from?: string;
  readonly to: string;
  readonly method: string;
  readonly path: string;
  readonly header?: readonly string[];
  readonly at?: string;
  readonly output: OutputFormat;
}

interface CheckedRequest extends ExplainedAuthorization {
  readonly request: { readonly method: string; readonly target: string };
  readonly from: string | null;
  readonly service: string;
  /** Of the policies; null: as they are published now. */
  readonly at: number | null;
  readonly revision: Revision | null;
  readonly allowed: boolean;
}

/** @returns `refused` if the request is denied */
export async function authzCheck(options: AuthzCheckOptions): Promise<number> {
  const from = options.from === undefined ? undefined : parseServiceName(options.from);
  if (options.from !== undefined && from === undefined) {
    throw new UsageError('--from: expected a service, like checkout or checkout.shop');
  }
  if (!options.path.startsWith('/') && options.path !== '*')
    throw new UsageError('--path: expected a path, like /orders/7');
  const at = readRevision(options.at);
  const namespace = from === undefined ? DEFAULT_NAMESPACE : serviceParts(from).namespace;
  const url = options.path === '*' ? `http://${options.to}` : `http://${options.to}${options.path}`;
  const asked = readRequest(options.method.toUpperCase(), url, options.header ?? [], namespace);
  return withApi(options, async (api, { mesh, rootKey }) => {
    const key = await rootKey();
    const named = await fetchPublished(api, key, mesh, asked.name);
    const service = named.snapshot?.aliasOf ?? asked.name;
    if (!isServiceName(service)) throw refusedAtDoor(noService(asked.authority));
    const { snapshot } = service === asked.name ? named : await fetchPublished(api, key, mesh, service);
    const revision = snapshot?.revision ?? NO_REVISION;
    const { defaultAction = 'allow' } = snapshot?.authorization ?? {};
    const authorization =
      at === undefined ? snapshot?.authorization : await authorizationAt(api, service, at, defaultAction);
    const { method, target, fields } = asked.routed;
    const explained = explainAuthorization(
      mesh,
      { service, revision, ...(authorization === undefined ? {} : { authorization }) },
      { caller: from, method, target, fields },
    );
    const allowed = explained.refusal === undefined;
    const checked: CheckedRequest = {
      request: { method, target },
      from: from ?? null,
      service,
      at: at ?? null,
      revision: snapshot?.revision ?? null,
      allowed,
      ...explained,
    };
    print(options.output, checked, () => checkedText(checked));
    return allowed ? EXIT.done : EXIT.refused;
  });
}

/** The policies of a service as they stood; the mesh's default has no history, and is that of now. */
async function authorizationAt(
  api: ApiClient,
  service: string,
  at: number,
  defaultAction: DefaultAction,
): Promise<Authorization | undefined> {
  const items = await allItems(api, 'get', { kind: 'AuthorizationPolicy', at });
  const revisions = new Map<string, number>();
  const index = createCompileIndex(items.map((item) => resourceOf(item, revisions)));
  const revisionOf = (key: string) => revisions.get(key) ?? 0;
  return compileAuthorization(index.policiesOf(service), { defaultAction, revisionOf });
}

function resourceOf(document: ResourceDocument, revisions: Map<string, number>) {
  const { resource, faults } = validateResource(document);
  if (resource === undefined) {
    const { name, namespace } = document.metadata;
    throw new Error(
      `AuthorizationPolicy ${namespace}/${name} is not one that this release understands (${faults[0]?.expected})`,
    );
  }
  revisions.set(resourceKey(resource), document.metadata.revision ?? 0);
  return resource;
}

function readRevision(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,14}$/.test(text))
    throw new UsageError('--at: expected a revision, as `weft history` shows it');
  return Number(text);
}

function checkedText(checked: CheckedRequest): string {
  const { request, from, principal, service, path, at, revision, defaultAction, considered } = checked;
  const seen = path === null || path === request.target.split('?', 1)[0] ? '' : `, read as ${path}`;
  const now = revision === null ? 'none published' : `those of snapshot ${revision[1]}, signed by the root`;
  const lines = [
    `request   ${request.method} ${request.target}${seen}`,
    `from      ${from === null ? 'anonymous' : `${from}, ${principal}`}`,
    `to        ${service}`,
    `policies  ${at === null ? now : `as they stood at revision ${at}`}`,
    `default   ${defaultAction}`,
  ];
  const rows = considered.map(({ action, policy, rule, revision: of, verdict }) => [
    action,
    `${policy} rule ${rule}`,
    String(of),
    verdict,
  ]);
  const table =
    rows.length === 0 ? '' : `\n${indented(tableText(['action', 'rule', 'revision', 'verdict'], rows))}`;
  const audits = checked.audits.map(
    (audit) => `audited   by ${audit.policy} rule ${audit.rule} (revision ${audit.revision})`,
  );
  const result = [
    ...audits,
    `decision  ${authorizationText(checked)}`,
    ...(checked.refusal === undefined
      ? []
      : [`the agent answers ${ERRORS[checked.refusal.code].status} ${checked.refusal.code}`]),
  ];
  return `${text(lines)}${table}\n${text(result)}`;
}

function text(lines: readonly string[]): string {
  return lines.map((line) => `${printable(line)}\n`).join('');
}
