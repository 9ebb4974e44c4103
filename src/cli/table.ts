import { printable } from './printable.ts';

/** Columns two spaces apart, the heads in capitals; a column in which nothing stands is left out. */
export function tableText(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heads.map((head) => head.toUpperCase()), ...rows.map((row) => row.map(printable))];
  const kept = heads.flatMap((_, at) => (rows.some((row) => (row[at] ?? '') !== '') ? [at] : []));
  const widths = kept.map((at) => Math.max(...lines.map((line) => (line[at] ?? '').length)));
  return lines
    .map((line) => {
      const cells = kept.map((at, place) => (line[at] ?? '').padEnd(widths[place]!));
      return `${cells.join('  ').trimEnd()}\n`;
    })
    .join('');
}
