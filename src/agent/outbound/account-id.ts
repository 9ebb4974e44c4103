/**
 * The numbers of users and groups that stand by name in a configuration. Node knows no other way to them than the
 * files; accounts that are kept elsewhere (LDAP, systemd) are given as numbers.
 */
import { readFileSync } from 'node:fs';
import type { Account } from '../address.ts';

/** Of a user; throws an error that says what to write instead if there is none of that name. */
export function userId(user: Account): number {
  return idOf('user', user, '/etc/passwd');
}

/** Of a group; throws as `userId` does. */
export function groupId(group: Account): number {
  return idOf('group', group, '/etc/group');
}

/** Both files: `name:password:id:…` */
function idOf(kind: string, account: Account, file: string): number {
  if (typeof account === 'number') return account;
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [name, , id = ''] = line.split(':');
    if (name === account && /^[0-9]+$/.test(id)) return Number(id);
  }
  throw new Error(`no ${kind} named ${account} stands in ${file}; give the number if it is kept elsewhere`);
}
