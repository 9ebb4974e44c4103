/** Says each second what this agent is and what it serves, and at once when that changes: its lease. */
import { type Heartbeat, heartbeatText, type WorkloadReport } from '../../protocol/heartbeat.ts';
import type { Keyring } from '../../protocol/keyring.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { compareRevisions, NO_REVISION, type Revision } from '../../protocol/revision.ts';
import { heartbeatSubject } from '../../protocol/subjects.ts';
import type { Bus } from '../link/bus.ts';

export interface AnnouncerParts {
  readonly keyring: Keyring;
  /** Of this process. */
  readonly session: string;
  /** Of the weft release. */
  readonly release: string;
  readonly workloads: () => readonly WorkloadReport[];
  /** Services whose snapshots are held, with what is applied; and those that are wanted, with NO_REVISION. */
  readonly applied: () => Readonly<Record<string, Revision>>;
  /** What is held that shows how far the controllers' stores had come. */
  readonly heads: () => readonly string[];
  /** The trust list that holds here; undefined if there is none. */
  readonly trust: () => Revision | undefined;
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
  /** Services of which it was told last what is applied. */
  let told = 0;
  let callOff: (() => void) | undefined;
  let complained = false;

  function send(leaving: boolean): void {
    callOff?.();
    callOff = undefined;
    // Said late it would be wrong: the client keeps messages for when the connection is back.
    if (bus?.up !== true) return;
    const applied = boundedApplied(parts.applied());
    const count = Object.keys(applied).length;
    const tellsApplied =
      count !== told ||
      sequence % LIMITS.appliedEveryBeats === 0 ||
      now() - appliedMs <= LIMITS.appliedToldMs;
    sequence += 1;
    if (tellsApplied) told = count;
    publish(bus, leaving, tellsApplied ? applied : undefined);
  }

  function publish(to: Bus, leaving: boolean, applied: Heartbeat['applied']): void {
    const bytes = signed(leaving, applied);
    if (bytes.length <= Math.min(to.payloadBytesMax, LIMITS.heartbeatBytesMax))
      return to.publish(subject, bytes);
    if (!complained) {
      complained = true;
      parts.tooLarge(bytes.length);
    }
    // Without it, it is still known that this agent is there.
    if (applied !== undefined) publish(to, leaving, undefined);
  }

  function signed(leaving: boolean, applied: Heartbeat['applied']): Buffer {
    const heads = parts.heads();
    const trust = parts.trust();
    const beat: Heartbeat = {
      version: 1,
      mesh: keyring.mesh,
      agent: keyring.agent,
      session,
      sequence,
      timeMs: parts.wallMs(),
      release,
      leaving,
      workloads: parts.workloads(),
      ...(applied === undefined ? {} : { applied }),
      ...(heads.length === 0 ? {} : { heads }),
      ...(trust === undefined ? {} : { trust }),
    };
    return Buffer.from(heartbeatText(keyring.document, keyring.sign('weft-heartbeat', beat)), 'latin1');
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

/** Local applications may ask for any name: of services of which nothing is published, a few are told. */
function boundedApplied(applied: Readonly<Record<string, Revision>>): Readonly<Record<string, Revision>> {
  let wanted = 0;
  const told = Object.entries(applied).filter(([, revision]) => {
    if (compareRevisions(revision, NO_REVISION) > 0) return true;
    wanted += 1;
    return wanted <= LIMITS.wantedToldMax;
  });
  return Object.fromEntries(told);
}
