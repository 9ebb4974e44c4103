/** The policies of a snapshot, checked: what would not be understood as it is written is refused as a whole. */
import { LIMITS } from '../limits.ts';
import { isLabel, isServiceName } from '../names.ts';
import { type Check, fields, is, maybe, text, whole } from '../shape.ts';
import { patternFault } from './path-pattern.ts';

/** A SPIFFE ID, or what of one stands before or behind a `*`; `anonymous`. */
const PRINCIPAL = /^(?:anonymous|\*|spiffe:\/\/[a-z0-9/-]{1,256}\*?|\*[a-z0-9/-]{1,256})$/;

const listUpTo =
  (most: number, check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.length <= most && value.every(check);
const list = (check: Check): Check => maybe(listUpTo(LIMITS.policyListMax, check));
const textThat =
  (holds: (value: string) => boolean): Check =>
  (value) =>
    typeof value === 'string' && holds(value);

const principals = list(text(PRINCIPAL, 512));
const namespaces = list(textThat(isLabel));
const method = text(/^[A-Z]{1,32}$/, 32);
const path = textThat(
  (value) => value.startsWith('/') && value.length <= 1_024 && patternFault(value) === undefined,
);
/** Of 4,096 characters, byte by byte. */
const values = list(text(/^/, 4 * 4_096));

const header = fields({
  name: text(/^[!#$%&'*+\-.^_`|~0-9a-z]+$/, 256),
  values,
  notValues: values,
  present: maybe(is(true, false)),
});
const caller = fields({
  services: list(textThat(isServiceName)),
  namespaces,
  notNamespaces: namespaces,
  principals,
  notPrincipals: principals,
});
const request = fields({
  methods: list(method),
  notMethods: list(method),
  paths: list(path),
  notPaths: list(path),
  ports: list(whole(1, 65_535)),
  headers: list(header),
});
const rule = fields({
  name: text(/^[a-z0-9.-]+$/, 253),
  from: list(caller),
  to: list(request),
  when: list(header),
});
const policy = fields({
  policy: text(/^[a-z0-9-]+\/[a-z0-9.-]+$/, 320),
  revision: whole(0, Number.MAX_SAFE_INTEGER),
  action: is('ALLOW', 'DENY', 'AUDIT'),
  rules: listUpTo(LIMITS.policyListMax, rule),
});

/** True for an `Authorization`. */
export const isAuthorization: Check = fields({
  defaultAction: is('allow', 'deny'),
  policies: listUpTo(LIMITS.policiesMax, policy),
});
