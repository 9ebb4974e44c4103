import { ConfigError } from '../protocol/config-fault.ts';
import { withApi } from './api-client.ts';
import { ApiRefusal } from './api-refusal.ts';
import { reportChange } from './change-report.ts';
import type { ContextOptions } from './context.ts';
import { EXIT, UsageError } from './exit.ts';
import { eachOnce, faultsError, type Manifests, placedFaults, readManifests } from './manifests.ts';
import type { OutputFormat } from './output.ts';
import { timeoutOf, untilProgrammed, type WaitOptions } from './programmed.ts';
import type { NamespaceOptions } from './target.ts';

/** Of `applyRequest` in schemas/api.schema.json. */
const RESOURCES_MAX = 1_000;

export interface ApplyOptions extends ContextOptions, NamespaceOptions, WaitOptions {
  readonly file: readonly string[];
  readonly dryRun?: boolean;
  readonly output: OutputFormat;
}

/** `weft apply`: creates and changes all resources of the files, or none of them. */
export async function apply(options: ApplyOptions): Promise<number> {
  const { dryRun = false } = options;
  const timeoutMs = timeoutOf(options);
  refuseNamespace(options);
  const manifests = eachOnce(await readManifests(options.file));
  return withApi(options, async (api) => {
    const result = await applyManifests(manifests, dryRun, (request) => api.call('apply', request));
    reportChange(result, options.output, dryRun);
    if (dryRun || options.wait !== true) return EXIT.done;
    return untilProgrammed(api, result.snapshots, timeoutMs);
  }).catch((error: unknown) => {
    // What is wrong in the files is told whether or not there is a controller to find more.
    if (error instanceof ConfigError || manifests.faults.length === 0) throw error;
    throw faultsError(manifests, manifests.faults);
  });
}

/** @throws UsageError for `-n`, which would have to mean something else here than for all other commands */
export function refuseNamespace({ namespace }: NamespaceOptions): void {
  if (namespace === undefined) return;
  throw new UsageError(
    '-n: the namespaces of resources stand in the files: write metadata.namespace there, or leave it out for default',
  );
}

/**
 * Has resources applied. If some of their files are at fault already nothing is, but the controller still says what
 * is wrong with the others, so that everything is told at once.
 * @throws ConfigError with every fault at its place
 */
export async function applyManifests<Result>(
  manifests: Manifests,
  dryRun: boolean,
  send: (request: { resources: readonly unknown[]; dryRun: boolean }) => Promise<Result>,
): Promise<Result> {
  const { resources, faults } = manifests;
  if (resources.length > RESOURCES_MAX) {
    throw new UsageError(
      `${resources.length} resources, and a call takes at most ${RESOURCES_MAX}: send fewer files at a time; ` +
        'what one call holds is done as a whole or not at all',
    );
  }
  const request = { resources: resources.map(({ resource }) => resource), dryRun };
  if (faults.length === 0) {
    return send(request).catch((error: unknown) => {
      const placed = error instanceof ApiRefusal ? placedFaults(resources, error.faults) : [];
      throw placed.length === 0 ? error : faultsError(manifests, placed);
    });
  }
  const more: unknown =
    resources.length === 0 ? undefined : await send({ ...request, dryRun: true }).catch((error) => error);
  const placed = more instanceof ApiRefusal ? placedFaults(resources, more.faults) : [];
  throw faultsError(manifests, [...faults, ...placed]);
}
