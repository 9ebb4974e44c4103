import type { Change, ResourceDocument } from '../protocol/api.ts';
import { withApi } from './api-client.ts';
import { applyManifests, refuseNamespace } from './apply.ts';
import type { ContextOptions } from './context.ts';
import { EXIT } from './exit.ts';
import { unifiedDiff } from './line-diff.ts';
import { eachOnce, readManifests } from './manifests.ts';
import { yamlText } from './output.ts';
import { type NamespaceOptions, resourceText } from './target.ts';

export interface DiffOptions extends ContextOptions, NamespaceOptions {
  readonly file: readonly string[];
}

/** `weft diff`: what `weft apply` of the same files would change. */
export async function diff(options: DiffOptions): Promise<number> {
  refuseNamespace(options);
  const manifests = eachOnce(await readManifests(options.file));
  return withApi(options, async (api) => {
    const { changes } = await applyManifests(manifests, true, (request) => api.call('apply', request));
    const texts = changes.map(changeDiff).filter((text) => text !== '');
    process.stdout.write(texts.join(''));
    return texts.length === 0 ? EXIT.done : EXIT.refused;
  });
}

function changeDiff(change: Change): string {
  const { action, before, after } = change;
  if (action === 'unchanged') return '';
  const name = resourceText(change);
  if (after === undefined && before === undefined) {
    // The controller leaves the resources out of an answer that would be too large for a message.
    return `${name} ${action}; the answer was too large to hold the lines: diff fewer files at a time\n`;
  }
  const stored = before === undefined ? '' : yamlText(comparable(before, true));
  const file = after === undefined ? '' : yamlText(comparable(after, before !== undefined));
  return unifiedDiff(stored, file, [
    before === undefined ? '/dev/null' : `${name} (stored)`,
    after === undefined ? '/dev/null' : `${name} (file)`,
  ]);
}

/** As its author writes it. The time at which a new resource would be made is nobody's change. */
function comparable({ apiVersion, kind, metadata, spec }: ResourceDocument, stored: boolean): object {
  const { revision: _, creationTimestamp, ...rest } = metadata;
  const time = stored && creationTimestamp !== undefined ? { creationTimestamp } : {};
  return { apiVersion, kind, metadata: { ...rest, ...time }, spec };
}
