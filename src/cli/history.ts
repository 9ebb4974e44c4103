import { withApi } from './api-client.ts';
import type { ContextOptions } from './context.ts';
import { EXIT } from './exit.ts';
import { type OutputFormat, print } from './output.ts';
import { tableText } from './table.ts';
import { type NamespaceOptions, targetOf } from './target.ts';

export interface HistoryOptions extends ContextOptions, NamespaceOptions {
  readonly output: OutputFormat;
}

/** `weft history`: the revisions of a resource, with who made them and when. */
export async function history(words: readonly string[], options: HistoryOptions): Promise<number> {
  const name = targetOf(words, options);
  return withApi(options, async (api) => {
    const result = await api.call('history', name);
    const rows = result.entries.map(({ revision, time, author, action }) => [
      String(revision),
      time,
      author,
      action,
    ]);
    print(options.output, result, () => tableText(['revision', 'time', 'author', 'action'], rows));
    return EXIT.done;
  });
}
