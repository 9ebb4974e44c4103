import type { ApiVerbs, PageRequest } from '../protocol/api.ts';

/** What asks the controller. */
interface Calls {
  call<V extends ListVerb>(verb: V, request: ApiVerbs[V]['request']): Promise<ApiVerbs[V]['response']>;
}

/** Half a MiB each. */
const PAGES_MAX = 1_000;

type ListVerb = 'get' | 'agents' | 'endpoints' | 'services' | 'identities' | 'operators' | 'audit';

/** All items of a list, however many pages they are. @throws see `ApiClient.call`; Error if the pages do not end */
export async function allItems<V extends ListVerb>(
  api: Calls,
  verb: V,
  request: Omit<ApiVerbs[V]['request'], 'after'>,
): Promise<ApiVerbs[V]['response']['items']> {
  const items: ApiVerbs[V]['response']['items'][number][] = [];
  let page: PageRequest = {};
  for (let pages = 1; ; pages++) {
    const answer: ApiVerbs[V]['response'] = await api.call(verb, { ...request, ...page });
    items.push(...answer.items);
    const { next } = answer;
    if (next === undefined) return items as ApiVerbs[V]['response']['items'];
    if (pages >= PAGES_MAX || (page.after !== undefined && next <= page.after)) {
      throw new Error(
        `${verb}: the pages of the answer do not come to an end: are weft here and the controller of one release?`,
      );
    }
    page = { after: next };
  }
}
