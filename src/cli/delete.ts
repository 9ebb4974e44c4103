import type { ResourceName } from '../protocol/api.ts';
import { withApi } from './api-client.ts';
import { reportChange } from './change-report.ts';
import type { ContextOptions } from './context.ts';
import { EXIT, UsageError } from './exit.ts';
import { faultsError, readManifests } from './manifests.ts';
import type { OutputFormat } from './output.ts';
import { timeoutOf, untilProgrammed, type WaitOptions } from './programmed.ts';
import { type NamespaceOptions, targetOf } from './target.ts';

export interface DeleteOptions extends ContextOptions, NamespaceOptions, WaitOptions {
  readonly file?: readonly string[];
  readonly dryRun?: boolean;
  readonly output: OutputFormat;
}

/** `weft delete`: deletes all resources that are named, by files or by KIND/NAME, or none of them. */
export async function deleteResources(words: readonly string[], options: DeleteOptions): Promise<number> {
  const { dryRun = false, file = [] } = options;
  const timeoutMs = timeoutOf(options);
  if (words.length === 0 && file.length === 0) {
    throw new UsageError('delete what? Name resources as KIND/NAME, or the files that hold them with -f');
  }
  const named = words.map((word) => targetOf([word], options));
  const names = [...named, ...(await namesIn(file))];
  return withApi(options, async (api) => {
    const result = await api.call('delete', { names, dryRun });
    reportChange(result, options.output, dryRun);
    if (dryRun || options.wait !== true) return EXIT.done;
    return untilProgrammed(api, result.snapshots, timeoutMs);
  });
}

async function namesIn(files: readonly string[]): Promise<ResourceName[]> {
  if (files.length === 0) return [];
  const manifests = await readManifests(files);
  const { resources, faults } = manifests;
  if (faults.length > 0) throw faultsError(manifests, faults);
  return resources.map(({ resource }) => ({
    kind: resource.kind,
    namespace: resource.metadata.namespace,
    name: resource.metadata.name,
  }));
}
