/** The four KV buckets of a mesh. Only the controller writes them; it makes them where they are missing. */
import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import { type KV, type KvEntry, Kvm, type KvOptions } from '@nats-io/kv';
import { type NatsConnection, RequestError, TimeoutError } from '@nats-io/nats-core';
import {
  auditStream,
  configBucket,
  identityBucket,
  policyBucket,
  publicationRepublish,
  stateBucket,
} from '../protocol/subjects.ts';
import { CONTROLLER_LIMITS } from './limits.ts';

/** Of each bucket in a cluster: one server may be lost. */
const REPLICAS = 3;

export interface Buckets {
  readonly policy: KV;
  readonly config: KV;
  readonly state: KV;
  readonly identity: KV;
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
  const identity = await openBucket(kvm, connection, identityBucket(mesh), {
    ...exact,
    history: CONTROLLER_LIMITS.identityHistoryMax,
  });
  const config = await openBucket(kvm, connection, configBucket(mesh), {
    allow_direct: true,
    history: 1,
    republish: publicationRepublish(mesh),
  });
  await ensureRepublish(manager, mesh);
  return Object.freeze({ policy, config, state, identity });
}

async function openBucket(
  kvm: Kvm,
  connection: NatsConnection,
  name: string,
  options: Partial<KvOptions>,
): Promise<KV> {
  if (connection.info?.cluster !== undefined) {
    try {
      return await kvm.create(name, { ...options, replicas: REPLICAS });
    } catch (error) {
      // Fewer than three servers: `raiseReplicas` comes back to it when there are more.
      if (!(error instanceof JetStreamApiError)) throw error;
    }
  }
  return kvm.create(name, options);
}

/**
 * Gives the buckets, and the audit stream, the replicas that they lack: one that was made before the cluster had its servers has fewer. None ever
 * loses any. It ends at the first that the cluster has no servers for.
 * @returns the streams that have more from now on. @throws an error of the client, if the bus does not answer
 */
export async function raiseReplicas(connection: NatsConnection, mesh: string): Promise<readonly string[]> {
  if (connection.info?.cluster === undefined) return [];
  const manager = await jetstreamManager(connection, { timeout: CONTROLLER_LIMITS.bucketAnswerMs });
  const raised: string[] = [];
  const buckets = [policyBucket, stateBucket, identityBucket, configBucket].map((name) => `KV_${name(mesh)}`);
  for (const stream of [...buckets, auditStream(mesh)]) {
    try {
      const { config } = await manager.streams.info(stream);
      if (config.num_replicas >= REPLICAS) continue;
      await manager.streams.update(stream, { ...config, num_replicas: REPLICAS });
    } catch (error) {
      // Fewer than three servers yet, of which `weft check` tells; or nothing was ever audited.
      if (error instanceof JetStreamApiError) break;
      throw error;
    }
    raised.push(stream);
  }
  return raised;
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
  /** That it holds, older ones of a key and marks of deletion too. */
  readonly messages: number;
  /** Changes with every write, and when the bucket is made anew. */
  readonly version: string;
}

export async function markOf(bucket: KV): Promise<BucketMark> {
  const { created, state } = (await bucket.status()).streamInfo;
  return {
    epoch: Date.parse(String(created)),
    sequence: state.last_seq,
    messages: state.messages,
    version: `${String(created)} ${state.last_seq}`,
  };
}

/**
 * Hands the last entry of every key to `take`; whatever else is in the bucket, nothing of it is kept.
 * @throws Error if they do not arrive in time
 */
export async function readAll(bucket: KV, take: (entry: KvEntry) => void): Promise<void> {
  const { streamInfo } = await bucket.status();
  // A watch of an empty bucket says nothing at all.
  if (streamInfo.state.messages === 0) return;
  const watch = await bucket.watch({ key: '>' });
  const timer = setTimeout(() => watch.stop(), CONTROLLER_LIMITS.readAllMs);
  try {
    for await (const entry of watch) {
      take(entry);
      // The last of those that were there is the first that says so.
      if (entry.isUpdate) return;
    }
  } finally {
    clearTimeout(timer);
    watch.stop();
  }
  throw new Error('the bucket was not read in time');
}

/**
 * Puts `text` in the place of the entry with this revision; if somebody has written since, in the place of that.
 * @param look is shown what stands there instead: `keep` leaves it there, and so does an error, which is thrown on
 * @returns the revision of what stands there now. @throws an error of the client
 */
export async function putOver(
  bucket: KV,
  key: string,
  text: string,
  revision: number,
  look: (entry: KvEntry | null, conflict: unknown) => 'keep' | undefined,
): Promise<number> {
  let previousSeq = revision;
  for (let tries = 1; ; tries++) {
    try {
      return await bucket.put(key, text, { previousSeq });
    } catch (error) {
      if (!isConflict(error) || tries >= CONTROLLER_LIMITS.writeTriesMax) throw error;
      const entry = await bucket.get(key);
      if (look(entry, error) === 'keep' && entry !== null) return entry.revision;
      previousSeq = entry?.revision ?? 0;
    }
  }
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

/** True if there was no answer in time: whether what was asked for was done is not known. */
export function isTimeout(error: unknown): boolean {
  return (
    error instanceof TimeoutError || (error instanceof RequestError && error.cause instanceof TimeoutError)
  );
}
