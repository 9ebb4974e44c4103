import type { Change, ChangeResult } from '../protocol/api.ts';
import { note, type OutputFormat, print } from './output.ts';
import { printable } from './printable.ts';
import { resourceText } from './target.ts';

/** Tells what a change has done: warnings on stderr, and on stdout a line for each resource. */
export function reportChange(result: ChangeResult, format: OutputFormat, dryRun: boolean): void {
  for (const warning of result.warnings) note(`warning: ${printable(warning)}`);
  print(format, result, () => result.changes.map((change) => changeLine(change, dryRun)).join(''));
}

function changeLine(change: Change, dryRun: boolean): string {
  const { action, revision } = change;
  const numbered = revision === undefined ? '' : ` (revision ${revision})`;
  return `${resourceText(change)} ${action}${dryRun ? ' (dry run)' : numbered}\n`;
}
