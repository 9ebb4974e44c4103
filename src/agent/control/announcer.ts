/** Says each second what this agent is and what it serves, and at once when that changes: its lease. */
import type { Heartbeat, WorkloadReport } from '../../protocol/heartbeat.ts';
import type { Keyring } from '../../protocol/keyring.ts';
import { LIMITS } from '../../protocol/limits.ts';
import type { Revision } from '../../protocol/revision.ts';
import { heartbeatSubject } from '../../protocol/subjects.ts';
import type { Bus } from '../link/bus.ts';

export interface AnnouncerParts {
  readonly keyring: Keyring;
  /** Of this process. */
  readonly session: string;
  /** Of the weft release. */
  readonly release: string;
  readonly workloads: () => readonly WorkloadReport[];
  /** Services whose snapshots are held, with what is applied. */
  readonly applied: () => Readonly<Record<string, Revision>>;
  /** Wall clock, ms. */
  readonly wallMs: () => number;
  /** Clock that does not jump. */
  readonly now: () => number;
  /** Calls once, later; returns what calls it off. */
  readonly delay: (ms: number, then: () => void) => () => void;
  /** A heartbeat was not sent because the bus takes none of that size; said once. */
  readonly tooLarge: (bytes: number) => void;
}

export interface Announcer {
  /** Announces on `bus` from now on, beginning at once. */
  attach(bus: Bus): void;
  /** The regular beat; to be called each second. */
  beat(): void;
  /** Something of what is announced has changed: it is said within 20 ms, with what else changes until then. */
  changed(): void;
  /** What is applied has changed. */
  appliedChanged(): void;
  /** The last word of this process. */
  leave(): void;
}

export function createAnnouncer(parts: AnnouncerParts): Announcer {
  const { keyring, session, release, now } = parts;
  const subject = heartbeatSubject(keyring.mesh, keyring.agent);
  let bus: Bus | undefined;
  let sequence = 0;
  let appliedMs = now();
  let callOff: (() => void) | undefined;
  let complained = false;

  function send(leaving: boolean): void {
    callOff?.();
    callOff = undefined;
    // Said late it would be wrong: the client keeps messages for when the connection is back.
    if (bus?.up !== true) return;
    const tellsApplied =
      sequence % LIMITS.appliedEveryBeats === 0 || now() - appliedMs <= LIMITS.appliedToldMs;
    sequence += 1;
    publish(bus, signed(leaving, tellsApplied));
  }

  function publish(to: Bus, bytes: Buffer): void {
    if (bytes.length <= to.payloadBytesMax) to.publish(subject, bytes);
    else if (!complained) {
      complained = true;
      parts.tooLarge(bytes.length);
    }
  }

  function signed(leaving: boolean, tellsApplied: boolean): Buffer {
    const beat: Heartbeat = {
      version: 1,
      mesh: keyring.mesh,
      agent: keyring.agent,
      session,
      sequence,
      timeMs: parts.wallMs(),
      release,
      document: keyring.document,
      leaving,
      workloads: parts.workloads(),
      ...(tellsApplied ? { applied: parts.applied() } : {}),
    };
    return Buffer.from(keyring.sign('weft-heartbeat', beat), 'latin1');
  }

  function changed(): void {
    callOff ??= parts.delay(LIMITS.announceDelayMs, () => send(false));
  }

  return Object.freeze({
    attach(connected: Bus) {
      bus = connected;
      appliedMs = now();
      send(false);
    },
    beat: () => send(false),
    changed,
    appliedChanged() {
      appliedMs = now();
      changed();
    },
    leave() {
      send(true);
      bus = undefined;
    },
  });
}
