/**
 * The publications of one kind that this agent follows: heard on core NATS when they change, fetched when they are
 * wanted, after a reconnect and now and then (a message may be lost), and kept on disk.
 *
 * D1  Only what the root has signed, for this mesh and service, and newer than what is held, replaces anything.
 * D2  Nothing that arrives, and nothing that is missing, takes away what is held.
 * D3  A service that nobody here calls or serves costs nothing: neither a message nor memory.
 */
import { hash } from 'node:crypto';
import type { Keyring } from '../../protocol/keyring.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { NO_REVISION, type Revision } from '../../protocol/revision.ts';
import { type PublicationKind, publicationGetSubject, publicationSubject } from '../../protocol/subjects.ts';
import type { Bus } from '../link/bus.ts';
import {
  checkPublication,
  type Publication,
  type PublicationRefusal,
  type ReadPublication,
  RefusedPublication,
} from './publication-check.ts';
import type { SnapshotDisk } from './snapshot-disk.ts';

export interface PublicationsParts<P extends Publication> {
  readonly kind: PublicationKind;
  readonly keyring: Keyring;
  readonly read: ReadPublication<P>;
  readonly disk: SnapshotDisk | undefined;
  /** Services that are followed from the start and never dropped: those that are served here. */
  readonly kept: ReadonlySet<string>;
  /** What comes from the bus with a lower revision is an old publication that somebody plays again. */
  readonly floor: (service: string) => Revision;
  readonly now: () => number;
  /** From 0 to 1; spreads what all agents would else do at once. */
  readonly random: () => number;
  readonly refused: (reason: PublicationRefusal, details: string) => void;
  /** A fault of our own while a publication was taken. */
  readonly fault: (error: unknown) => void;
}

interface Followed<P> {
  readonly service: string;
  readonly wantedMs: number;
  publication: P | undefined;
  /** Of the text that is held, so that the same text is not verified each time. */
  digest: string;
  /** Somebody has made use of what there is, and says when that is over. */
  taken: boolean;
  diskRead: boolean;
  /** The bus has said what there is. */
  answered: boolean;
  /** Requests in a row without an answer. */
  failures: number;
  asking: boolean;
  /** When it is to be asked for again. */
  dueMs: number;
  unsubscribe: (() => void) | undefined;
}

const NOTHING = Buffer.alloc(0);
const NOT_FOUND = 404;

export class Publications<P extends Publication> {
  readonly #parts: PublicationsParts<P>;
  readonly #followed = new Map<string, Followed<P>>();
  readonly #watchers: ((service: string, before: P | undefined) => void)[] = [];
  #bus: Bus | undefined;
  #asking = 0;

  constructor(parts: PublicationsParts<P>) {
    this.#parts = parts;
    for (const service of parts.kept) this.want(service);
  }

  /** Follows a service's; to call it again changes nothing. */
  want(service: string): void {
    if (this.#followed.has(service)) return;
    const { disk, now } = this.#parts;
    const followed: Followed<P> = {
      service,
      wantedMs: now(),
      publication: undefined,
      digest: '',
      taken: false,
      diskRead: disk === undefined,
      answered: false,
      failures: 0,
      asking: false,
      dueMs: now(),
      unsubscribe: undefined,
    };
    this.#makeRoom();
    this.#followed.set(service, followed);
    if (disk !== undefined) this.#readDisk(disk, followed);
    if (this.#bus !== undefined) this.#subscribe(this.#bus, followed);
    this.#ask(followed);
  }

  /** True once it is certain what there is of the service, or that it cannot be known now. */
  known(service: string): boolean {
    const followed = this.#followed.get(service);
    if (followed === undefined) return false;
    const { answered, diskRead, failures } = followed;
    return diskRead && (answered || failures > 0 || this.#bus?.up !== true);
  }

  get(service: string): P | undefined {
    const followed = this.#followed.get(service);
    if (followed !== undefined) followed.taken = true;
    return followed?.publication;
  }

  /** Takes a text that has come another way than by the bucket, as if that had it. */
  offer(service: string, text: string): void {
    const followed = this.#followed.get(service);
    if (followed !== undefined) this.#take(followed, text, true);
  }

  drop(service: string): void {
    const followed = this.#followed.get(service);
    if (followed === undefined || this.#parts.kept.has(service)) return;
    followed.unsubscribe?.();
    this.#followed.delete(service);
  }

  /** Has `changed` called for a service whenever there is another publication of it, or it is not followed any more. */
  watch(changed: (service: string, before: P | undefined) => void): void {
    this.#watchers.push(changed);
  }

  /** Hears and asks on `bus` from now on. */
  attach(bus: Bus): void {
    this.detach();
    this.#bus = bus;
    for (const followed of this.#followed.values()) this.#subscribe(bus, followed);
    this.refresh();
  }

  /** The bus is back: whatever was published meanwhile was not heard. */
  refresh(): void {
    const nowMs = this.#parts.now();
    for (const followed of this.#followed.values()) followed.dueMs = nowMs;
    this.#askDue(nowMs);
  }

  detach(): void {
    for (const followed of this.#followed.values()) {
      followed.unsubscribe?.();
      followed.unsubscribe = undefined;
    }
    this.#bus = undefined;
  }

  /** Asks for what is due, and forgets what was wanted and never used; called every second or so. */
  tick(nowMs: number): void {
    for (const { service, taken, wantedMs } of this.#followed.values()) {
      if (!taken && nowMs - wantedMs >= LIMITS.snapshotIdleMs) this.drop(service);
    }
    this.#askDue(nowMs);
  }

  /** The services of which something is held, with its revision. */
  held(): Record<string, Revision> {
    const held: Record<string, Revision> = {};
    for (const { service, publication } of this.#followed.values()) {
      if (publication !== undefined) held[service] = publication.revision;
    }
    return held;
  }

  /** All that is followed, also where nothing is held. */
  *all(): Generator<readonly [service: string, publication: P | undefined]> {
    for (const { service, publication } of this.#followed.values()) yield [service, publication];
  }

  get heldCount(): number {
    let count = 0;
    for (const { publication } of this.#followed.values()) if (publication !== undefined) count += 1;
    return count;
  }

  /** Services of which it is not known what is published. */
  waiting(): string[] {
    const waiting: string[] = [];
    for (const { service, answered } of this.#followed.values()) if (!answered) waiting.push(service);
    return waiting;
  }

  /** One more may come; what nobody has made use of leaves first. */
  #makeRoom(): void {
    if (this.#followed.size < LIMITS.servicesKnownMax) return;
    let oldest: string | undefined;
    for (const { service, taken } of this.#followed.values()) {
      if (this.#parts.kept.has(service)) continue;
      oldest ??= service;
      if (taken) continue;
      oldest = service;
      break;
    }
    if (oldest === undefined) return;
    const before = this.#followed.get(oldest)?.publication;
    this.drop(oldest);
    // Whoever still uses it must not go on with what nobody follows any more.
    for (const changed of this.#watchers) changed(oldest, before);
  }

  #subscribe(bus: Bus, followed: Followed<P>): void {
    const { kind, keyring } = this.#parts;
    const subject = publicationSubject(keyring.mesh, kind, followed.service);
    followed.unsubscribe = bus.subscribe(subject, undefined, (payload) => {
      this.#take(followed, textOf(payload), true);
    });
  }

  async #readDisk(disk: SnapshotDisk, followed: Followed<P>): Promise<void> {
    const text = await disk.read(this.#parts.kind, followed.service);
    followed.diskRead = true;
    if (text !== undefined && followed.publication === undefined) this.#take(followed, text, false);
  }

  #askDue(nowMs: number): void {
    for (const followed of this.#followed.values()) {
      if (this.#asking >= LIMITS.publicationGetsMax) return;
      if (nowMs >= followed.dueMs) this.#ask(followed);
    }
  }

  async #ask(followed: Followed<P>): Promise<void> {
    const { kind, keyring } = this.#parts;
    const bus = this.#bus;
    if (bus?.up !== true || followed.asking || this.#asking >= LIMITS.publicationGetsMax) return;
    followed.asking = true;
    this.#asking += 1;
    try {
      const subject = publicationGetSubject(keyring.mesh, kind, followed.service);
      const { payload, status } = await bus.request(subject, NOTHING, LIMITS.publicationGetMs);
      if (status !== 0 && status !== NOT_FOUND) throw new Error(`status ${status}`);
      followed.failures = 0;
      followed.dueMs = this.#later(LIMITS.publicationRefreshMs);
      if (status !== NOT_FOUND) this.#take(followed, textOf(payload), true);
      followed.answered = true;
    } catch {
      // Nobody keeps publications here, or not now: what is held stays, and it is asked for again.
      const pauseMs = LIMITS.publicationRetryMs * 2 ** Math.min(followed.failures, 10);
      followed.failures += 1;
      followed.dueMs = this.#later(Math.min(pauseMs, LIMITS.publicationRefreshMs));
    } finally {
      followed.asking = false;
      this.#asking -= 1;
    }
    if (this.#bus === bus) this.#askDue(this.#parts.now());
  }

  #later(ms: number): number {
    const { now, random } = this.#parts;
    return now() + ms * (0.75 + random() / 2);
  }

  #take(followed: Followed<P>, text: string, keep: boolean): void {
    try {
      this.#replace(followed, text, keep);
    } catch (error) {
      if (error instanceof RefusedPublication) this.#parts.refused(error.reason, error.message);
      // Thrown on, it would stop the client of the bus from reading.
      else this.#parts.fault(error);
    }
  }

  /** Makes what has arrived the one that is held, if it is better (D1). @throws RefusedPublication */
  #replace(followed: Followed<P>, text: string, keep: boolean): void {
    const { service } = followed;
    if (this.#followed.get(service) !== followed) return;
    const digest = hash('sha256', text, 'base64');
    if (digest === followed.digest) return;
    const { kind, keyring, read, disk } = this.#parts;
    // What was kept here is the last that this agent knew, even if more was published while it was away.
    const floor = keep ? this.#parts.floor(service) : NO_REVISION;
    const publication = checkPublication(kind, service, text, followed.publication, floor, keyring, read);
    if (publication === undefined) return;
    const before = followed.publication;
    followed.publication = publication;
    followed.digest = digest;
    if (keep) disk?.write(kind, service, text);
    for (const changed of this.#watchers) changed(service, before);
  }
}

/** Documents are ASCII; whatever else comes fails its signature. */
function textOf(payload: Uint8Array): string {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('latin1');
}
