/** The three KV buckets of a mesh. Only the controller writes them; it makes them where they are missing. */
import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import { type KV, type KvEntry, Kvm, type KvOptions } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/nats-core';
import { configBucket, policyBucket, publicationRepublish, stateBucket } from '../protocol/subjects.ts';
import { CONTROLLER_LIMITS } from './limits.ts';

export interface Buckets {
  readonly policy: KV;
  readonly config: KV;
  readonly state: KV;
}

/**
 * Opens the buckets, and makes those that are missing: with three replicas where there is a cluster for them.
 * @throws the client's error, also if the server has no JetStream
 */
export async function openBuckets(connection: NatsConnection, mesh: string): Promise<Buckets> {
  const timeout = CONTROLLER_LIMITS.bucketAnswerMs;
  const kvm = new Kvm(jetstream(connection, { timeout }));
  const manager = await jetstreamManager(connection, { timeout });
  // Read from the stream's leader: what a replica answers may be old, and revisions are decided on it.
  const exact = { allow_direct: false };
  const policy = await openBucket(kvm, connection, policyBucket(mesh), {
    ...exact,
    history: CONTROLLER_LIMITS.historyMax,
  });
  const state = await openBucket(kvm, connection, stateBucket(mesh), { ...exact, history: 1 });
  const config = await openBucket(kvm, connection, configBucket(mesh), {
    allow_direct: true,
    history: 1,
    republish: publicationRepublish(mesh),
  });
  await ensureRepublish(manager, mesh);
  return Object.freeze({ policy, config, state });
}

async function openBucket(
  kvm: Kvm,
  connection: NatsConnection,
  name: string,
  options: Partial<KvOptions>,
): Promise<KV> {
  if (connection.info?.cluster !== undefined) {
    try {
      return await kvm.create(name, { ...options, replicas: 3 });
    } catch (error) {
      // Fewer than three servers; `weft check` says so.
      if (!(error instanceof JetStreamApiError)) throw error;
    }
  }
  return kvm.create(name, options);
}

/** A bucket that somebody made by hand may lack it, and then nobody would hear of changes. */
async function ensureRepublish(manager: JetStreamManager, mesh: string): Promise<void> {
  const stream = `KV_${configBucket(mesh)}`;
  const { config } = await manager.streams.info(stream);
  const wanted = publicationRepublish(mesh);
  const is = config.republish;
  if (config.allow_direct && is?.src === wanted.src && is.dest === wanted.dest) return;
  await manager.streams.update(stream, { ...config, allow_direct: true, republish: wanted });
}

/** Where a bucket stands. */
export interface BucketMark {
  /** When it was made, ms. */
  readonly epoch: number;
  /** Of its last write. */
  readonly sequence: number;
  /** Changes with every write, and when the bucket is made anew. */
  readonly version: string;
}

export async function markOf(bucket: KV): Promise<BucketMark> {
  const { created, state } = (await bucket.status()).streamInfo;
  return {
    epoch: Date.parse(String(created)),
    sequence: state.last_seq,
    version: `${String(created)} ${state.last_seq}`,
  };
}

/** The last entry of every key. @throws Error if they do not arrive in time */
export async function readAll(bucket: KV): Promise<KvEntry[]> {
  const { streamInfo } = await bucket.status();
  // A watch of an empty bucket says nothing at all.
  if (streamInfo.state.messages === 0) return [];
  const entries: KvEntry[] = [];
  const watch = await bucket.watch({ key: '>' });
  const timer = setTimeout(() => watch.stop(), CONTROLLER_LIMITS.readAllMs);
  try {
    for await (const entry of watch) {
      entries.push(entry);
      // The last of those that were there is the first that says so.
      if (entry.isUpdate) return entries;
    }
  } finally {
    clearTimeout(timer);
    watch.stop();
  }
  throw new Error('the bucket was not read in time');
}

/** True if a write was refused because the key has another revision than was expected. */
export function isConflict(error: unknown): boolean {
  return (
    error instanceof JetStreamApiError &&
    (error.code === JetStreamApiCodes.StreamWrongLastSequence ||
      error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown)
  );
}

/** True if there is no such bucket. */
export function isMissing(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound;
}
