import { type Authenticator, nkeyAuthenticator } from '@nats-io/nats-core';

/**
 * What servers have a client sign, some 15 characters. Nothing else of ours that is signed with the same key looks so: a hostile
 * server must not have an agent sign a heartbeat, or the key of a process, in the place of it.
 */
const NONCE = /^[A-Za-z0-9_-]{1,43}$/;

/**
 * How a client of the bus shows who it is: by an NKey, if the server asks for one; a server that asks for none takes it as it is.
 * @param seed of the user (`SU…`), read at each dial. Secret.
 * @param inboxPrefix where its answers arrive: the only place where this user may listen for them
 */
export function natsUser(
  seed: () => string,
  inboxPrefix: string,
): { readonly authenticator: Authenticator; readonly inboxPrefix: string } {
  const show = nkeyAuthenticator(() => Buffer.from(seed(), 'latin1'));
  return {
    authenticator(nonce) {
      if (nonce !== undefined && !NONCE.test(nonce)) {
        throw new Error(
          'NATS asked for a signature of something that is no nonce: is it the server of this mesh?',
        );
      }
      return show(nonce);
    },
    inboxPrefix,
  };
}
