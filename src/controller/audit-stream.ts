/** The stream in which the mesh keeps what was done to it. The controller makes it, and makes it again if it is lost. */
import {
  AckPolicy,
  type ConsumerConfig,
  type ConsumerInfo,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import { type NatsConnection, nanos } from '@nats-io/nats-core';
import type { ApiVerbs, AuditMessage, Page } from '../protocol/api.ts';
import { AUDITED, auditStream, auditSubject } from '../protocol/subjects.ts';
import { isMissing } from './buckets.ts';
import { ControllerError } from './controller-error.ts';
import { CONTROLLER_LIMITS } from './limits.ts';

export interface AuditStream {
  /** @param id the same for the same entry: it is kept once. @throws an error of the client; then it may be there or not */
  write(subject: string, text: string, id: string): Promise<void>;
  /**
   * The messages after one, or from a time on, as many as fit. A stream that was never made has none.
   * @throws ControllerError `invalid` if there can be no such place or time; an error of the client
   */
  read(request: ApiVerbs['audit']['request'], bytesMax: number): Promise<Page<AuditMessage>>;
}

/** Messages of a page, at most; and how long to wait for them. */
const PAGE_MESSAGES_MAX = 1_000;
const PAGE_MS = 2_000;
/** What a message takes in an answer besides its text. */
const MESSAGE_BYTES = 128;
const DOCUMENT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
/** Of a number in the text that stands for a place, so that places are in the order of their texts. */
const PLACE_DIGITS = 16;

export function createAuditStream(connection: NatsConnection, mesh: string): AuditStream {
  const timeout = CONTROLLER_LIMITS.bucketAnswerMs;
  const client = jetstream(connection, { timeout });
  const name = auditStream(mesh);
  let there = false;

  const make = async (): Promise<void> => {
    const { streams } = await jetstreamManager(connection, { timeout, checkAPI: false });
    const config: Partial<StreamConfig> & { name: string } = {
      name,
      subjects: [auditSubject(mesh, AUDITED)],
      description: `what was done to the mesh ${mesh}; read it with weft audit`,
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.Old,
      max_age: nanos(CONTROLLER_LIMITS.auditAgeMs),
      max_bytes: CONTROLLER_LIMITS.auditBytesMax,
      // Entries go by age alone; only who may remove the whole stream can remove one.
      deny_delete: true,
      deny_purge: true,
    };
    try {
      await streams.info(name);
      return;
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    if (connection.info?.cluster !== undefined) {
      try {
        await streams.add({ ...config, num_replicas: 3 });
        return;
      } catch (error) {
        // Fewer than three servers, as with the buckets; or another controller was faster.
        if (!(error instanceof JetStreamApiError)) throw error;
      }
    }
    await streams.add(config);
  };

  return Object.freeze({
    async write(subject: string, text: string, id: string) {
      if (!there) await make();
      there = true;
      try {
        // Another stream that somebody has made for the subject must not be the one that takes it.
        await client.publish(subject, text, { msgID: id, timeout, expect: { streamName: name } });
      } catch (error) {
        there = false;
        throw error;
      }
    },

    async read(request: ApiVerbs['audit']['request'], bytesMax: number) {
      const manager = await jetstreamManager(connection, { timeout, checkAPI: false });
      let pending: ConsumerInfo;
      try {
        pending = await manager.consumers.add(name, {
          ...startOf(request),
          ack_policy: AckPolicy.None,
          inactive_threshold: nanos(2 * PAGE_MS),
          mem_storage: true,
          num_replicas: 1,
        });
      } catch (error) {
        if (isMissing(error)) return { items: [] };
        throw error;
      }
      const items: AuditMessage[] = [];
      try {
        let bytes = 0;
        let left = Math.min(pending.num_pending, PAGE_MESSAGES_MAX);
        if (left === 0) return { items };
        const consumer = client.consumers.getConsumerFromInfo(pending);
        for await (const message of await consumer.fetch({ max_messages: left, expires: PAGE_MS })) {
          left -= 1;
          const text = message.data.length > CONTROLLER_LIMITS.auditEntryBytesMax ? '' : message.string();
          // Whatever is no document takes no room in the answer.
          const shown = DOCUMENT.test(text) ? text : '';
          bytes += shown.length + MESSAGE_BYTES;
          const next = placeOf(items.at(-1)?.sequence ?? 0);
          if (bytes > bytesMax && items.length > 0) return { items, next };
          items.push({ sequence: message.seq, time: message.time.toISOString(), text: shown });
          if (left === 0) break;
        }
        const isLast = items.length >= pending.num_pending;
        return isLast ? { items } : { items, next: placeOf(items.at(-1)?.sequence ?? 0) };
      } finally {
        await manager.consumers.delete(name, pending.name).catch(() => {});
      }
    },
  });
}

function startOf({ after, since }: ApiVerbs['audit']['request']): Partial<ConsumerConfig> {
  if (after !== undefined) {
    const sequence = /^[0-9]{16}$/.test(after) ? Number(after) : Number.NaN;
    if (!Number.isSafeInteger(sequence))
      throw new ControllerError('invalid', 'audit: after: expected the next of a page');
    return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: sequence + 1 };
  }
  if (since === undefined) return { deliver_policy: DeliverPolicy.All };
  const sinceMs = Date.parse(since);
  if (Number.isNaN(sinceMs))
    throw new ControllerError('invalid', 'audit: since: expected a time as in RFC 3339');
  return { deliver_policy: DeliverPolicy.StartTime, opt_start_time: new Date(sinceMs).toISOString() };
}

function placeOf(sequence: number): string {
  return String(sequence).padStart(PLACE_DIGITS, '0');
}
