/**
 * Reads snapshots. Their signature says that the controller made them, not that this release understands them: what
 * is not exactly of the form of `snapshot.ts` is refused as a whole, so that a half-understood route never routes.
 */
import { isAuthorization } from './authorization/read-authorization.ts';
import { LIMITS } from './limits.ts';
import { isLabel, isPublishedName, isServiceName } from './names.ts';
import { isHeadProof, isRevision } from './revision.ts';
import { mayChange } from './routes/header-modifier.ts';
import { anyOf, type Check, fields, is, isMapping, listOf, maybe, text, whole } from './shape.ts';
import { type RouteSet, type Snapshot, saysNothing } from './snapshot.ts';

/** A snapshot whose signature has been checked, if it is well formed and of this mesh; else undefined. */
export function readSnapshot(mesh: string, value: Readonly<Record<string, unknown>>): Snapshot | undefined {
  return value.mesh === mesh && SNAPSHOT(value) ? (value as unknown as Snapshot) : undefined;
}

const SHORT_MAX = 1_024;
/** Words for people, and what is only compared: nothing of it is ever sent. */
const anyText = text(/^/, LIMITS.patternCharactersMax);
/** RFC 9110 §5.6.2. */
const token = text(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, SHORT_MAX);
const fieldName = text(/^[!#$%&'*+\-.^_`|~0-9a-z]+$/, SHORT_MAX);
/** What may stand in a field of a message (RFC 9110 §5.5): above all no line end. */
const fieldValue = text(/^[\t\x20-\x7e\x80-\xff]*$/, LIMITS.headBytesMax);
/** What may stand in a request target. */
const pathText = text(/^[!-~]*$/, LIMITS.targetBytesMax);
const hostname = text(/^[A-Za-z0-9.-]+$/, 253);
const port = whole(1, 65_535);
const milliseconds = whole(0, Number.MAX_SAFE_INTEGER);
/** A Gateway API duration is at most four times this; what is added to it must remain a date. */
const sessionTime = whole(1, 4 * 99_999 * 3_600_000);
const serviceName: Check = (value) => typeof value === 'string' && isServiceName(value);

const valueMatch = fields({ type: is('Exact', 'RegularExpression'), name: token, value: anyText });
const match = fields({
  rule: whole(0, Number.MAX_SAFE_INTEGER),
  path: fields({ type: is('Exact', 'PathPrefix', 'RegularExpression'), value: anyText }),
  method: maybe(token),
  headers: listOf(valueMatch),
  query: listOf(fields({ type: is('Exact', 'RegularExpression'), name: anyText, value: anyText })),
  port: maybe(port),
});

const named: Check = (value) =>
  Array.isArray(value) && value.length === 2 && fieldName(value[0]) && fieldValue(value[1]);
const modifier = fields({ set: listOf(named), add: listOf(named), remove: listOf(fieldName) });
const path = anyOf(
  fields({ type: is('ReplaceFullPath'), value: pathText }),
  fields({ type: is('ReplacePrefixMatch'), prefix: pathText, value: pathText }),
);
const fraction: Check = (value) => typeof value === 'number' && value >= 0 && value <= 1;
/** A path that is empty or begins with one slash: two would begin an authority. */
const authPath = text(/^(?:\/(?!\/)[-A-Za-z0-9/._~!$&'()*+,;=:@%]*)?$/, SHORT_MAX + 1);
const externalAuth = {
  path: authPath,
  requestHeaders: listOf(fieldName),
  responseHeaders: listOf(fieldName),
  bodyBytesMax: whole(0, LIMITS.retryBodyBytesMax),
};

const filter = anyOf(
  fields({ type: is('RequestHeaderModifier', 'ResponseHeaderModifier'), modifier }),
  fields({
    type: is('RequestRedirect'),
    redirect: fields({
      scheme: maybe(is('http', 'https')),
      hostname: maybe(hostname),
      port: maybe(port),
      path: maybe(path),
      status: whole(300, 399),
    }),
  }),
  fields({ type: is('URLRewrite'), rewrite: fields({ hostname: maybe(hostname), path: maybe(path) }) }),
  fields({ type: is('RequestMirror'), mirror: fields({ service: serviceName, fraction }) }),
  fields({
    type: is('CORS'),
    cors: fields({
      origins: listOf(fieldValue),
      credentials: is(true, false),
      methods: listOf(token),
      headers: listOf(token),
      expose: listOf(token),
      maxAgeSeconds: whole(0, Number.MAX_SAFE_INTEGER),
    }),
  }),
  fields({
    type: is('ExternalAuth'),
    auth: anyOf(
      fields({ ...externalAuth, service: serviceName, invalid: is(undefined) }),
      fields({ ...externalAuth, service: anyText, invalid: anyText }),
    ),
  }),
  fields({ type: is('Unsupported'), what: anyText }),
);

/** It is sent: a path must not end the attribute that it stands in, nor a header be one that frames the message. */
const session = anyOf(
  fields({
    type: is('Cookie'),
    name: token,
    path: text(/^\/[!-:<-~]*$/, SHORT_MAX),
    permanent: is(true, false),
    absoluteMs: maybe(sessionTime),
  }),
  fields({
    type: is('Header'),
    name: (value) => typeof value === 'string' && value.length <= SHORT_MAX && mayChange(value),
    absoluteMs: maybe(sessionTime),
  }),
);

/** The name of an invalid backend is only ever shown. */
const backend = anyOf(
  fields({
    service: serviceName,
    weight: whole(0, 1_000_000),
    filters: listOf(filter),
    invalid: is(undefined),
  }),
  fields({ service: anyText, weight: whole(0, 1_000_000), filters: listOf(filter), invalid: anyText }),
);
const rule = fields({
  route: anyText,
  index: whole(0, Number.MAX_SAFE_INTEGER),
  name: maybe(anyText),
  filters: listOf(filter),
  backends: listOf(backend),
  timeouts: fields({ requestMs: maybe(milliseconds), backendRequestMs: maybe(milliseconds) }),
  retry: maybe(
    fields({ codes: listOf(whole(100, 599)), attempts: whole(0, SHORT_MAX), backoffMs: milliseconds }),
  ),
  session: maybe(session),
});

const routeSet: Check = (value) =>
  fields({ rules: listOf(rule), matches: listOf(match) })(value) && isJoined(value as RouteSet);

/** Every match leads to a rule. */
function isJoined({ rules, matches }: RouteSet): boolean {
  return matches.every((one) => one.rule < rules.length);
}

const SNAPSHOT_FIELDS = fields({
  version: is(1),
  mesh: anyText,
  service: (value) => typeof value === 'string' && isPublishedName(value),
  revision: isRevision,
  policy: maybe(isRevision),
  head: maybe(isHeadProof),
  aliasOf: maybe(serviceName),
  exposure: maybe(is('namespace')),
  evidence: maybe(is('signed')),
  authorization: maybe(isAuthorization),
  producer: routeSet,
  consumers: (value) =>
    isMapping(value) && Object.entries(value).every(([name, set]) => isLabel(name) && routeSet(set)),
});

/** An alias is of another name and says nothing else; a host name is an alias or nothing at all. */
const SNAPSHOT: Check = (value) => {
  if (!SNAPSHOT_FIELDS(value)) return false;
  const { aliasOf, ...rest } = value as Snapshot;
  if (aliasOf === undefined) return isServiceName(rest.service) || saysNothing(rest);
  return aliasOf !== rest.service && saysNothing(rest);
};
