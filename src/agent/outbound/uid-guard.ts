import type { Socket } from 'node:net';
import { WeftError } from '../../protocol/errors.ts';
import type { Account } from '../address.ts';
import { userId } from './account-id.ts';
import type { SocketOwners } from './socket-owner.ts';

/** Lets the processes of some users in by a door, and nobody else. */
export interface UidGuard {
  /** Why a connection may not use the door; undefined if it may. Never rejects: who cannot be told is refused. */
  refusal(accepted: Socket): Promise<WeftError | undefined>;
}

/**
 * @param door in words, for messages
 * @param users whose processes it is for; throws an error if there is no such user
 */
export function createUidGuard(door: string, users: readonly Account[], owners: SocketOwners): UidGuard {
  const allowed = new Set(users.map(userId));
  const whom = `${door} is for processes of uid ${[...allowed].join(' or ')}`;
  return Object.freeze({
    async refusal(accepted: Socket) {
      try {
        const uid = await owners.uidOf(accepted);
        if (allowed.has(uid)) return undefined;
        return new WeftError('not_your_door', `${whom}, and this connection is of uid ${uid}`);
      } catch (error) {
        const why = `${whom}, and whose this connection is could not be told: ${(error as Error).message}`;
        return new WeftError('not_your_door', why, { cause: error });
      }
    },
  });
}
