/** Heartbeats as they come from the bus, where anybody may publish: read only if the mesh has signed them. */
import { BoundedMap } from '../protocol/bounded-map.ts';
import { WeftError } from '../protocol/errors.ts';
import { type Heartbeat, heartbeatParts, readHeartbeat } from '../protocol/heartbeat.ts';
import { type PeerIdentity, readIntroduction } from '../protocol/introduction.ts';
import { LIMITS } from '../protocol/limits.ts';
import { headerOf, openDocument, type RootKeys } from '../protocol/signed-document.ts';
import { CONTROLLER_LIMITS } from './limits.ts';

const SIGNATURE_CHARACTERS = 86;
const DOT = 0x2e;
/** How every heartbeat begins: with the identity of its agent. */
const START = Buffer.from(`${headerOf('weft-identity')}.`, 'latin1');

/** Whether it is worth the time to check a signature: for what is no heartbeat at all costs next to nothing. */
export function mayBeHeartbeat(payload: Uint8Array): boolean {
  return (
    payload.length <= LIMITS.heartbeatBytesMax &&
    payload.length > START.length + SIGNATURE_CHARACTERS &&
    payload[payload.length - SIGNATURE_CHARACTERS - 1] === DOT &&
    START.compare(payload, 0, START.length) === 0
  );
}

export interface CheckedBeat {
  readonly beat: Heartbeat;
  readonly identity: PeerIdentity;
  /** Its introduction, as in packets. */
  readonly document: string;
}

/**
 * @param subject that it came on: it ends with the name of the agent.
 * @throws WeftError `denied`
 */
export type CheckHeartbeat = (subject: string, payload: Uint8Array) => CheckedBeat;

export function createHeartbeatCheck(
  roots: () => RootKeys,
  mesh: string,
  wallMs: () => number,
  isCut: (agent: string, issuedAtMs: number) => boolean,
): CheckHeartbeat {
  /** Of introductions with which a heartbeat has come that their agent has signed. */
  const identities = new BoundedMap<string, PeerIdentity>(CONTROLLER_LIMITS.agentsMax);

  const knownOf = (document: string): PeerIdentity | undefined => {
    const known = identities.get(document);
    return known !== undefined && known.expiresAtMs > wallMs() ? known : undefined;
  };

  return (subject, payload) => {
    const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('latin1');
    const { introduction, statement } = heartbeatParts(text);
    const known = knownOf(introduction);
    const identity = known ?? readIntroduction(roots(), mesh, introduction, wallMs());
    const claims = openDocument(identity.signingKey, 'weft-heartbeat', statement, LIMITS.heartbeatBytesMax);
    // Anybody can put an introduction before something else. Copied: a part of a text keeps the whole of it.
    if (known === undefined) identities.set(Buffer.from(introduction, 'latin1').toString('latin1'), identity);
    const beat = readHeartbeat(mesh, claims);
    if (beat === undefined) throw denied('malformed, or of another mesh');
    // An old one that somebody has kept; and packets of an agent whose clock is so wrong are refused everywhere.
    if (Math.abs(beat.timeMs - wallMs()) > LIMITS.packetAgeMs) {
      throw denied(
        `${beat.agent}: ${Math.round(beat.timeMs - wallMs())} ms from now: an old one, or a wrong clock`,
      );
    }
    if (subject.slice(subject.lastIndexOf('.') + 1) !== beat.agent)
      throw denied('on the subject of another agent');
    if (identity.agent !== beat.agent) throw denied('with the identity of another agent');
    if (isCut(beat.agent, identity.issuedAtMs)) throw denied(`${beat.agent} was cut off`);
    for (const { service } of beat.workloads) {
      if (!identity.workloads.has(service)) throw denied(`${beat.agent} may not serve ${service}`);
    }
    return { beat, identity, document: introduction };
  };
}

function denied(what: string): WeftError {
  return new WeftError('denied', `heartbeat: ${what}`);
}
