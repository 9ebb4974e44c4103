/** What must hold for the filters of a rule or of one of its backends, and the schema cannot say (HTTPROUTE.md B). */
import type { FieldPath } from '../../protocol/config-fault.ts';
import { mayChange } from '../../protocol/routes/header-modifier.ts';
import type { RawFilter, RawHeaderModifier, RawPathModifier, RawRule } from './http-route.ts';
import type { Refuse } from './validate.ts';

const REPEATABLE: ReadonlySet<string> = new Set(['RequestMirror', 'ExtensionRef']);

export function checkFilters(
  filters: readonly RawFilter[],
  rule: RawRule,
  at: FieldPath,
  refuse: Refuse,
): void {
  const types = filters.map(({ type }) => type);
  for (const [index, filter] of filters.entries()) {
    const here = [...at, index];
    const { type } = filter;
    if (!REPEATABLE.has(type) && types.indexOf(type) < index) {
      refuse([...here, 'type'], `${type} at most once in a list of filters`);
    }
    const other = OTHER_OF_TWO[type];
    if (other !== undefined && types.indexOf(other) >= 0 && types.indexOf(other) < index) {
      refuse([...here, 'type'], `not both ${other} and ${type}`);
    }
    checkFilter(filter, rule, here, refuse);
  }
}

const OTHER_OF_TWO: Readonly<Record<string, string>> = {
  RequestRedirect: 'URLRewrite',
  URLRewrite: 'RequestRedirect',
};

function checkFilter(filter: RawFilter, rule: RawRule, at: FieldPath, refuse: Refuse): void {
  const { requestHeaderModifier, responseHeaderModifier, requestMirror, requestRedirect, urlRewrite, cors } =
    filter;
  checkModifier(requestHeaderModifier, [...at, 'requestHeaderModifier'], refuse);
  checkModifier(responseHeaderModifier, [...at, 'responseHeaderModifier'], refuse);
  checkPrefix(requestRedirect?.path, rule, [...at, 'requestRedirect', 'path'], refuse);
  checkPrefix(urlRewrite?.path, rule, [...at, 'urlRewrite', 'path'], refuse);
  const { numerator = 0, denominator = 100 } = requestMirror?.fraction ?? {};
  if (numerator > denominator) {
    refuse([...at, 'requestMirror', 'fraction', 'numerator'], `at most the denominator, ${denominator}`);
  }
  for (const list of ['allowOrigins', 'allowMethods', 'allowHeaders'] as const) {
    const values = cors?.[list] ?? [];
    if (values.length > 1 && values.includes('*'))
      refuse([...at, 'cors', list], '* alone, or a list without *');
  }
}

/** One action for each name, however it is spelled, and only for lines that a route may change. */
function checkModifier(modifier: RawHeaderModifier | undefined, at: FieldPath, refuse: Refuse): void {
  const seen = new Set<string>();
  const check = (name: string, path: FieldPath, settable: boolean) => {
    const lower = name.toLowerCase();
    if (seen.has(lower)) refuse(path, 'one action for each header name, whatever its case');
    seen.add(lower);
    if (!mayChange(lower) && !(settable && lower === 'host')) {
      refuse(path, 'a header that does not belong to the connection, to framing or to the mesh itself');
    }
  };
  for (const list of ['set', 'add'] as const) {
    for (const [index, { name }] of (modifier?.[list] ?? []).entries()) {
      check(name, [...at, list, index, 'name'], list === 'set');
    }
  }
  for (const [index, name] of (modifier?.remove ?? []).entries())
    check(name, [...at, 'remove', index], false);
}

/** Only where it is certain which prefix has matched. */
function checkPrefix(path: RawPathModifier | undefined, rule: RawRule, at: FieldPath, refuse: Refuse): void {
  if (path?.type !== 'ReplacePrefixMatch') return;
  // A rule without matches has one: the prefix `/`.
  const matches = rule.matches ?? [{}];
  if (matches.length !== 1 || (matches[0]!.path?.type ?? 'PathPrefix') !== 'PathPrefix') {
    refuse([...at, 'type'], 'ReplaceFullPath, or exactly one match in the rule and it a PathPrefix');
  }
}
