import { isLabel } from '../protocol/names.ts';
import { UsageError } from './exit.ts';
import { printable } from './printable.ts';

const SHOWN_MAX = 80;

/** The value of an option that names a mesh, host, namespace or person. @throws UsageError if it is no DNS label */
export function labelOf(option: string, value: string): string {
  if (isLabel(value)) return value;
  const found = JSON.stringify(printable(value.slice(0, SHOWN_MAX)));
  throw new UsageError(`${option}: expected a DNS label: a-z, 0-9 and -, at most 63; found ${found}`);
}
