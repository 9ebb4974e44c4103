/** Which of several matches decides (HTTPROUTE.md A2). */
import { withoutSlash } from '../../protocol/routes/path-modifier.ts';
import type { Match } from '../../protocol/snapshot.ts';
import type { Resource } from '../resources/resource.ts';

type Dated = Pick<Resource, 'metadata'>;

/** Regular expressions come after what is exact and before prefixes: the specification leaves their place to us. */
const PATH_RANK = { Exact: 0, RegularExpression: 1, PathPrefix: 2 } as const;

/** Negative if `a` is asked before `b`; 0 if only their places in their routes can tell. */
export function compareMatches(a: Match, b: Match): number {
  return (
    PATH_RANK[a.path.type] - PATH_RANK[b.path.type] ||
    pathLength(b) - pathLength(a) ||
    Number(b.method !== undefined) - Number(a.method !== undefined) ||
    b.headers.length - a.headers.length ||
    b.query.length - a.query.length
  );
}

/** Characters of the path. A slash at the end of a prefix means nothing (A3), so it does not count. */
function pathLength({ path }: Match): number {
  if (path.type === 'Exact') return 0;
  return path.type === 'PathPrefix' ? withoutSlash(path.value).length : path.value.length;
}

/** Across resources of a kind: the oldest first, then by `namespace/name`. One without a time counts as the newest. */
export function compareAge(a: Dated, b: Dated): number {
  const [timeA, timeB] = [createdMs(a), createdMs(b)];
  if (timeA !== timeB) return timeA < timeB ? -1 : 1;
  const [nameA, nameB] = [routeName(a), routeName(b)];
  return nameA < nameB ? -1 : Number(nameA > nameB);
}

/** `namespace/name` */
export function routeName({ metadata }: Dated): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function createdMs({ metadata }: Dated): number {
  const ms = Date.parse(metadata.creationTimestamp ?? '');
  return Number.isNaN(ms) ? Number.POSITIVE_INFINITY : ms;
}
