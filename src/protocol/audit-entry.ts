/**
 * What was done to the mesh, by whom: one message of the audit stream each. The root signs them, so that who can write the
 * stream cannot invent one; and each controller numbers its own, so that one that was taken out leaves a gap.
 */
import type { KeyObject } from 'node:crypto';
import { WeftError } from './errors.ts';
import { isRole, type Role } from './operator.ts';
import { openDocument, type RootKeys, signDocument } from './signed-document.ts';

/** By what right it was done: an operator's role, the root itself, a join token, an agent's identity, the controller's schedule. */
export type AuditRole = Role | 'root' | 'token' | 'agent' | 'controller';

export interface AuditEvent {
  /** Of the API. One token of a subject. */
  readonly verb: string;
  /** An operator's name; `user@host (root)`; an agent or host. */
  readonly author: string;
  readonly role: AuditRole;
  /** `refused` only for what is worth knowing; `done` if it is not said. */
  readonly outcome?: 'done' | 'refused';
  /** What it is about: `httproute/default/orders`, `agent/web-1`, `host/web-1`, `service/orders.default`, `operator/ada`. */
  readonly about: string;
  /** Of the resource in its history. */
  readonly revision?: number;
  /** As it stood before, and as it stands now; absent where there is none. Nothing secret. */
  readonly before?: unknown;
  readonly after?: unknown;
  /** Why it was refused; or what else is worth saying. */
  readonly reason?: string;
}

export interface AuditEntry extends AuditEvent {
  readonly version: 1;
  readonly mesh: string;
  /** Process of the controller that wrote it, and its number among all of that process, from 1. */
  readonly controller: string;
  readonly number: number;
  readonly timeMs: number;
  readonly outcome: 'done' | 'refused';
  /** Before and after were too long for one message. */
  readonly shortened?: true;
}

const AUDIT_ENTRY_BYTES_MAX = 1024 * 1024;
const RIGHTS: ReadonlySet<unknown> = new Set(['root', 'token', 'agent', 'controller']);

export function signAuditEntry(rootKey: KeyObject, entry: AuditEntry): string {
  return signDocument(rootKey, 'weft-audit', entry);
}

/** @throws WeftError `denied` if no root of the mesh signed it, it is of another mesh, or malformed */
export function openAuditEntry(roots: RootKeys, mesh: string, text: string): AuditEntry {
  const entry = openDocument(roots, 'weft-audit', text, AUDIT_ENTRY_BYTES_MAX) as Partial<AuditEntry>;
  const sound =
    entry.version === 1 &&
    entry.mesh === mesh &&
    Number.isSafeInteger(entry.number) &&
    Number.isSafeInteger(entry.timeMs) &&
    [entry.controller, entry.verb, entry.author, entry.about].every((one) => typeof one === 'string') &&
    (isRole(entry.role) || RIGHTS.has(entry.role)) &&
    (entry.outcome === 'done' || entry.outcome === 'refused');
  if (!sound) throw new WeftError('denied', 'audit entry: of another mesh, or malformed');
  return entry as AuditEntry;
}
