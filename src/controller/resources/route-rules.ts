/** What must hold for an HTTPRoute and its schema cannot say (HTTPROUTE.md B). The schema has let it pass. */
import { isIPv4 } from 'node:net';
import type { FieldPath } from '../../protocol/config-fault.ts';
import { parseDuration } from '../../protocol/duration.ts';
import { compilePattern } from '../../protocol/routes/pattern.ts';
import { PatternError } from '../../protocol/routes/pattern-syntax.ts';
import type { HttpRouteSpec, ParentRef, RawMatch, RawRule, RawValueMatch } from './http-route.ts';
import type { Metadata } from './resource.ts';
import { checkFilters } from './route-filters.ts';
import type { Refuse } from './validate.ts';

const MATCHES_MAX = 128;

export function checkRoute(spec: HttpRouteSpec, metadata: Metadata, refuse: Refuse): void {
  checkParents(spec.parentRefs ?? [], metadata, refuse);
  for (const [at, hostname] of (spec.hostnames ?? []).entries()) {
    if (isIPv4(hostname)) refuse(['spec', 'hostnames', at], 'a host name, not an IP address');
  }
  const rules = spec.rules ?? [];
  const matches = rules.reduce((sum, rule) => sum + (rule.matches?.length ?? 0), 0);
  if (matches > MATCHES_MAX) {
    refuse(['spec', 'rules'], `at most ${MATCHES_MAX} matches in all rules together`, `${matches} matches`);
  }
  const names = rules.map(({ name }) => name);
  for (const [at, rule] of rules.entries()) {
    if (rule.name !== undefined && names.indexOf(rule.name) < at) {
      refuse(['spec', 'rules', at, 'name'], 'a name that no other rule of the route has');
    }
    checkRule(rule, ['spec', 'rules', at], refuse);
  }
}

/** Two references to one parent must name different parts of it, and both must name one. */
function checkParents(parents: readonly ParentRef[], metadata: Metadata, refuse: Refuse): void {
  const byParent = new Map<string, ParentRef[]>();
  for (const [at, parent] of parents.entries()) {
    const { group = 'gateway.networking.k8s.io', kind = 'Gateway', namespace = metadata.namespace } = parent;
    const key = JSON.stringify([group, kind, namespace, parent.name]);
    const others = byParent.get(key) ?? [];
    byParent.set(key, [...others, parent]);
    const whole = isWhole(parent);
    if (others.some((other) => isWhole(other) !== whole)) {
      refuse(
        ['spec', 'parentRefs', at],
        'sectionName or port in every reference to the same parent, or one reference',
      );
    } else if (
      others.some((other) => other.sectionName === parent.sectionName && other.port === parent.port)
    ) {
      refuse(['spec', 'parentRefs', at], 'each parent, sectionName and port once', 'the same again');
    }
  }
}

function isWhole({ sectionName = '', port }: ParentRef): boolean {
  return sectionName === '' && port === undefined;
}

function checkRule(rule: RawRule, at: FieldPath, refuse: Refuse): void {
  for (const [index, match] of (rule.matches ?? []).entries()) {
    checkMatch(match, [...at, 'matches', index], refuse);
  }
  checkFilters(rule.filters ?? [], rule, [...at, 'filters'], refuse);
  for (const [index, backend] of (rule.backendRefs ?? []).entries()) {
    checkFilters(backend.filters ?? [], rule, [...at, 'backendRefs', index, 'filters'], refuse);
  }
  const redirect = (rule.filters ?? []).findIndex(({ type }) => type === 'RequestRedirect');
  if (redirect >= 0 && (rule.backendRefs?.length ?? 0) > 0) {
    refuse([...at, 'backendRefs'], 'no backends beside a RequestRedirect of the rule');
  }
  checkTimeouts(rule, at, refuse);
}

function checkMatch({ path, headers = [], queryParams = [] }: RawMatch, at: FieldPath, refuse: Refuse): void {
  if (path?.type === 'RegularExpression') checkPattern(path.value ?? '/', [...at, 'path', 'value'], refuse);
  checkValues(headers, [...at, 'headers'], refuse);
  checkValues(queryParams, [...at, 'queryParams'], refuse);
}

function checkValues(matches: readonly RawValueMatch[], at: FieldPath, refuse: Refuse): void {
  const names = new Set<string>();
  for (const [index, { type, name, value }] of matches.entries()) {
    if (names.has(name)) refuse([...at, index, 'name'], 'each name once');
    names.add(name);
    if (type === 'RegularExpression') checkPattern(value, [...at, index, 'value'], refuse);
  }
}

/** By the very function that agents route with. */
function checkPattern(text: string, at: FieldPath, refuse: Refuse): void {
  try {
    compilePattern(text);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    refuse(at, `a regular expression in the syntax of RE2 (here: ${error.message})`);
  }
}

/** GEP-1742: no try may outlive the request that it is for. */
function checkTimeouts({ timeouts = {} }: RawRule, at: FieldPath, refuse: Refuse): void {
  if (timeouts.request === undefined || timeouts.backendRequest === undefined) return;
  const requestMs = parseDuration(timeouts.request) ?? 0;
  const backendMs = parseDuration(timeouts.backendRequest) ?? 0;
  if (requestMs > 0 && backendMs > requestMs) {
    refuse(
      [...at, 'timeouts', 'backendRequest'],
      `at most the timeout of the whole request, ${timeouts.request}`,
    );
  }
}
