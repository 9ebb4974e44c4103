/**
 * Whether the buckets of a mesh are those of this root. A controller that was started with the root of another mesh would take
 * everything in them for the work of a stranger, and write its own in its place.
 */
import type { KvEntry } from '@nats-io/kv';
import { headerOf, publicationType } from '../protocol/signed-document.ts';
import type { PublicationKind } from '../protocol/subjects.ts';
import { type Buckets, readAll } from './buckets.ts';
import { JOURNAL_KEY } from './journal.ts';
import type { Seal, SealType } from './seal.ts';

/** The buckets are those of another root; the message says which, and what to do. */
export class ForeignRootError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ForeignRootError';
  }
}

const KINDS: readonly PublicationKind[] = ['snapshot', 'endpoints', 'trust'];

export interface RootCheckOptions {
  readonly buckets: Buckets;
  readonly seal: Seal;
  readonly mesh: string;
  /** Public half of the root, for people. */
  readonly publicKey: string;
}

/**
 * Reads only. A single entry that this root has signed is enough: who can write the buckets can put anything beside it.
 * @throws ForeignRootError if there are documents of a mesh, and this root has signed none of them; an error of the client
 */
export async function checkRoot({ buckets, seal, mesh, publicKey }: RootCheckOptions): Promise<void> {
  let ours = false;
  let foreign: string | undefined;
  const look = (bucket: string, type: SealType, entry: KvEntry | null) => {
    if (ours || entry?.operation !== 'PUT') return;
    if (seal.signed(type, entry)) ours = true;
    else if (entry.string().startsWith(`${headerOf(type)}.`)) foreign ??= `${bucket} ${entry.key}`;
  };
  look(`weft-${mesh}-state`, 'weft-journal', await buckets.state.get(JOURNAL_KEY));
  if (ours) return;
  await readAll(buckets.policy, (entry) => look(`weft-${mesh}-policy`, 'weft-record', entry));
  await readAll(buckets.identity, (entry) => look(`weft-${mesh}-identity`, 'weft-record', entry));
  await readAll(buckets.config, (entry) => {
    for (const kind of KINDS) {
      if (entry.key.startsWith(`${kind}.`)) look(`weft-${mesh}-config`, publicationType(kind), entry);
    }
  });
  if (ours || foreign === undefined) return;
  throw new ForeignRootError(
    `the buckets of mesh ${mesh} are those of another root: it has signed ${foreign}, and the root that is given here ` +
      `(${publicKey}) nothing in them; nothing was changed. Start the controller with the root of that mesh (--root), or give a ` +
      `new mesh another name (--mesh); to give up what is there, delete the buckets weft-${mesh}-policy, weft-${mesh}-config, ` +
      `weft-${mesh}-identity and weft-${mesh}-state (nats kv del)`,
  );
}
