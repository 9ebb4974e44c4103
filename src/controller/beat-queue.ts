/**
 * Heartbeats from the bus, checked a few at a time, so that thousands of them hold up nothing else. Anybody may publish here,
 * any number, on any agent's subject.
 *
 * Invariants: Q1 each agent has a few places of its own, and the newest of its beats have them; Q2 agents have their turns one
 * after another, and those that nobody has heard of yet, the last that came first, a quarter of all turns; Q3 what waits is bounded, in beats and in bytes; Q4 of an
 * agent whose beats wait or had to be dropped it is known that it was not heard, so that nobody takes that for silence.
 */
import type { NatsConnection } from '@nats-io/nats-core';
import { isLabel } from '../protocol/names.ts';
import { type CheckedBeat, type CheckHeartbeat, mayBeHeartbeat } from './heartbeat-check.ts';
import { CONTROLLER_LIMITS } from './limits.ts';

export type BeatResult = 'taken' | 'old' | 'refused' | 'dropped';

export interface BeatOptions {
  readonly connection: NatsConnection;
  readonly subject: string;
  readonly check: CheckHeartbeat;
  /** Whether there is such an agent. */
  readonly known: (agent: string) => boolean;
  /** False: it was an old one. */
  readonly hear: (checked: CheckedBeat) => boolean;
  readonly counted: (result: BeatResult, agent: string) => void;
}

/** What could not be heard (Q4). */
export interface Missed {
  /** Agents whose silence would prove nothing. */
  readonly agents: ReadonlySet<string>;
  /** Whether there may be beats among it of agents that nobody has heard of yet. */
  readonly strangers: boolean;
}

export interface BeatQueue {
  /** Since the last call. */
  missed(): Missed;
  stop(): void;
}

interface Line {
  readonly agent: string;
  readonly beats: { readonly subject: string; readonly payload: Uint8Array }[];
}

/** Some 0.3 ms each. */
const BEATS_PER_TURN = 16;
const STRANGERS_PER_TURN = 4;

export function listenBeats({ connection, subject, check, known, hear, counted }: BeatOptions): BeatQueue {
  /** In the order of their turns. */
  const lines = new Map<string, Line>();
  /** In the order in which they came. In a flood most of them never have a turn: what was read late would be too old anyway. */
  const strangers = new Map<string, Line>();
  /** Their names, with some that wait no longer. */
  let lately: string[] = [];
  let bytes = 0;
  let turn: NodeJS.Immediate | undefined;
  let missed = new Set<string>();
  let strangersMissed = false;

  const drop = (agent: string) => {
    counted('dropped', agent);
    if (known(agent)) missed.add(agent);
    else strangersMissed = true;
  };
  const add = (agent: string, beat: Line['beats'][number]) => {
    const those = known(agent) ? lines : strangers;
    const line = those.get(agent) ?? { agent, beats: [] };
    const size = beat.payload.length;
    const most = those === lines ? CONTROLLER_LIMITS.beatsPerAgentMax : CONTROLLER_LIMITS.beatsPerStrangerMax;
    if (line.beats.length >= most) {
      bytes -= line.beats.shift()!.payload.length;
      drop(agent);
    }
    const full = bytes + size > CONTROLLER_LIMITS.beatBytesWaitingMax;
    if (full && (line.beats.length > 0 || size > CONTROLLER_LIMITS.beatBytesSmall)) return drop(agent);
    line.beats.push(beat);
    bytes += size;
    those.set(agent, line);
    if (those === strangers) remember(agent);
    turn ??= setImmediate(work);
  };
  const remember = (stranger: string) => {
    const [oldest] = strangers.values();
    if (oldest !== undefined && strangers.size > CONTROLLER_LIMITS.strangersWaitingMax) {
      strangers.delete(oldest.agent);
      for (const { payload } of oldest.beats) bytes -= payload.length;
      drop(oldest.agent);
    }
    lately.push(stranger);
    if (lately.length > 4 * CONTROLLER_LIMITS.strangersWaitingMax) lately = [...strangers.keys()];
  };

  const nextStranger = (): Line | undefined => {
    for (;;) {
      const agent = lately.pop();
      if (agent === undefined) return undefined;
      const line = strangers.get(agent);
      if (line !== undefined) return line;
    }
  };
  const nextKnown = (): Line | undefined => {
    const [line] = lines.values();
    return line;
  };
  const take = ({ agent, beats }: Line): void => {
    const beat = beats.shift()!;
    bytes -= beat.payload.length;
    for (const those of [lines, strangers]) {
      const line = those.get(agent);
      // Behind all others.
      if (line?.beats === beats && those.delete(agent) && beats.length > 0) those.set(agent, line);
    }
    if (strangers.has(agent)) lately.push(agent);
    try {
      counted(hear(check(beat.subject, beat.payload)) ? 'taken' : 'old', agent);
    } catch {
      // What the mesh has not signed is noise.
      counted('refused', agent);
    }
  };
  const work = () => {
    for (let count = 0; count < BEATS_PER_TURN; count++) {
      const line =
        count < STRANGERS_PER_TURN ? (nextStranger() ?? nextKnown()) : (nextKnown() ?? nextStranger());
      if (line === undefined) break;
      take(line);
    }
    turn = lines.size + strangers.size > 0 ? setImmediate(work) : undefined;
  };

  const subscription = connection.subscribe(subject, {
    callback: (error, message) => {
      if (error !== null) return;
      const agent = message.subject.slice(message.subject.lastIndexOf('.') + 1);
      if (!isLabel(agent) || !mayBeHeartbeat(message.data)) return counted('refused', agent);
      // A copy: what the client hands out is part of all that came with it, and would keep that.
      add(agent, { subject: message.subject, payload: message.data.slice() });
    },
  });
  return Object.freeze({
    missed() {
      const found = { agents: missed, strangers: strangersMissed || strangers.size > 0 };
      for (const agent of lines.keys()) missed.add(agent);
      missed = new Set();
      strangersMissed = false;
      return found;
    },
    stop() {
      subscription.unsubscribe();
      if (turn !== undefined) clearImmediate(turn);
      lines.clear();
      strangers.clear();
      lately = [];
    },
  });
}
