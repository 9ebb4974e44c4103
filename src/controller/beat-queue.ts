/** Heartbeats from the bus, checked a few at a time, so that thousands of them hold up nothing else. */
import type { NatsConnection } from '@nats-io/nats-core';
import type { CheckedBeat, CheckHeartbeat } from './heartbeat-check.ts';
import { CONTROLLER_LIMITS } from './limits.ts';

export interface BeatOptions {
  readonly connection: NatsConnection;
  readonly subject: string;
  readonly check: CheckHeartbeat;
  /** False: it was an old one. */
  readonly hear: (checked: CheckedBeat) => boolean;
  readonly counted: (result: 'taken' | 'old' | 'refused' | 'dropped') => void;
}

/** Some 0.3 ms each. */
const BEATS_PER_TURN = 16;

export function listenBeats({ connection, subject, check, hear, counted }: BeatOptions): { stop(): void } {
  let waiting: { subject: string; payload: Uint8Array }[] = [];
  let turn: NodeJS.Immediate | undefined;

  const take = ({ subject, payload }: { subject: string; payload: Uint8Array }) => {
    try {
      counted(hear(check(subject, payload)) ? 'taken' : 'old');
    } catch {
      // Anybody may publish here; what the mesh has not signed is noise.
      counted('refused');
    }
  };
  const work = () => {
    const now = waiting.splice(0, BEATS_PER_TURN);
    turn = waiting.length > 0 ? setImmediate(work) : undefined;
    for (const beat of now) take(beat);
  };
  const subscription = connection.subscribe(subject, {
    callback: (error, message) => {
      if (error !== null) return;
      if (
        waiting.length >= CONTROLLER_LIMITS.beatsWaitingMax ||
        message.data.length > CONTROLLER_LIMITS.heartbeatBytesMax
      ) {
        return counted('dropped');
      }
      waiting.push({ subject: message.subject, payload: message.data });
      turn ??= setImmediate(work);
    },
  });
  return Object.freeze({
    stop() {
      subscription.unsubscribe();
      if (turn !== undefined) clearImmediate(turn);
      waiting = [];
    },
  });
}
