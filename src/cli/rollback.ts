import { withApi } from './api-client.ts';
import { reportChange } from './change-report.ts';
import type { ContextOptions } from './context.ts';
import { EXIT, UsageError } from './exit.ts';
import type { OutputFormat } from './output.ts';
import { timeoutOf, untilProgrammed, type WaitOptions } from './programmed.ts';
import { type NamespaceOptions, targetOf } from './target.ts';

export interface RollbackOptions extends ContextOptions, NamespaceOptions, WaitOptions {
  readonly to: string;
  readonly output: OutputFormat;
}

/** `weft rollback`: makes an earlier revision of a resource the present one, as a new revision. */
export async function rollback(words: readonly string[], options: RollbackOptions): Promise<number> {
  const timeoutMs = timeoutOf(options);
  const name = targetOf(words, options);
  if (!/^[1-9][0-9]{0,14}$/.test(options.to)) {
    throw new UsageError('--to: expected a revision, a whole number as `weft history` shows it');
  }
  return withApi(options, async (api) => {
    const result = await api.call('rollback', { ...name, to: Number(options.to) });
    reportChange(result, options.output, false);
    return options.wait === true ? untilProgrammed(api, result.snapshots, timeoutMs) : EXIT.done;
  });
}
