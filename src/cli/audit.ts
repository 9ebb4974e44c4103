/** `weft audit`: what was done to the mesh, and by whom, as far as the root vouches for it. */

import type { AuditMessage } from '../protocol/api.ts';
import { type AuditEntry, openAuditEntry } from '../protocol/audit-entry.ts';
import type { RootKeys } from '../protocol/signed-document.ts';
import { withApi } from './api-client.ts';
import type { ContextOptions } from './context.ts';
import { EXIT, UsageError } from './exit.ts';
import { note, type OutputFormat, print } from './output.ts';
import { allItems } from './pages.ts';
import { parseSpan } from './span.ts';
import { tableText } from './table.ts';

export interface AuditOptions extends ContextOptions {
  readonly since: string;
  readonly output: OutputFormat;
}

/** A message of the stream, and what is to be thought of it. */
export interface AuditLine extends Partial<AuditEntry> {
  readonly sequence: number;
  /** RFC 3339; of the entry, else of the stream. */
  readonly time: string;
  /** `unsigned`: no entry of this mesh's controllers. `repeated`: an entry that was there before. */
  readonly checked: 'signed' | 'unsigned' | 'repeated';
  /** Entries of the same controller that are missing before this one; absent if none are. */
  readonly missing?: number;
}

/** @returns 1 if something in the stream is not what controllers have written there */
export async function audit(options: AuditOptions): Promise<number> {
  const sinceMs = parseSpan(options.since);
  if (sinceMs === undefined) throw new UsageError('--since: expected a duration, like 1h or 7d');
  return withApi(options, async (api, context) => {
    const rootKey = await context.rootKey();
    const messages = await allItems(api, 'audit', { since: new Date(Date.now() - sinceMs).toISOString() });
    const items = checkedLines(messages, rootKey, context.mesh);
    if (items.length === 0) note(`nothing in the last ${options.since}`);
    print(options.output, { items }, () => (items.length === 0 ? '' : auditTable(items)));
    return items.every(isGenuine) ? EXIT.done : EXIT.refused;
  });
}

/** Checks signatures, and numbers: each controller process counts its own entries. */
export function checkedLines(messages: readonly AuditMessage[], roots: RootKeys, mesh: string): AuditLine[] {
  const last = new Map<string, number>();
  return messages.map(({ sequence, time, text }): AuditLine => {
    let entry: AuditEntry;
    try {
      entry = openAuditEntry(roots, mesh, text);
    } catch {
      return { sequence, time, checked: 'unsigned' };
    }
    const before = last.get(entry.controller);
    const repeated = before !== undefined && entry.number <= before;
    const missing = before === undefined || repeated ? 0 : entry.number - before - 1;
    if (!repeated) last.set(entry.controller, entry.number);
    return {
      sequence,
      time: new Date(entry.timeMs).toISOString(),
      checked: repeated ? 'repeated' : 'signed',
      ...(missing === 0 ? {} : { missing }),
      ...entry,
    };
  });
}

function isGenuine({ checked, missing }: AuditLine): boolean {
  return checked === 'signed' && missing === undefined;
}

function auditTable(items: readonly AuditLine[]): string {
  const rows = items.map((item) => [
    item.time,
    item.author ?? '',
    item.role ?? '',
    item.verb ?? '',
    item.about ?? '',
    String(item.revision ?? ''),
    remark(item),
  ]);
  return tableText(['time', 'author', 'role', 'verb', 'about', 'revision', 'remark'], rows);
}

function remark({ checked, missing, outcome, reason, sequence }: AuditLine): string {
  if (checked === 'unsigned') return `UNSIGNED: message ${sequence} was not written by a controller`;
  if (checked === 'repeated') return `REPEATED: message ${sequence} was there before`;
  const gap = missing === undefined ? '' : `${missing} before it MISSING`;
  const refused =
    outcome === 'refused' ? `refused${reason === undefined ? '' : `: ${reason}`}` : (reason ?? '');
  return [gap, refused].filter((part) => part !== '').join('; ');
}
