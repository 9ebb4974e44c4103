/**
 * Tells whose process has made a connection from this machine, by the kernel's tables. They are no snapshot: rows
 * come and go while they are read, and a port may change hands. So a connection is taken for somebody's only if
 *
 * O1  the far side's row has a process (an inode) and its connection is open: what nobody holds any more is shown as root's;
 * O2  after it our own side's row was seen, with the inode of the very socket that was accepted: as long as that one
 *     lives, nobody else can have had the far side's address;
 * O3  root was seen twice: uid and inode are read one after the other, and the process may have gone between.
 *
 * All that wait when a pass over the tables begins share it, so there is never more than one.
 */
import { fstatSync } from 'node:fs';
import type { Socket } from 'node:net';
import { LIMITS } from '../../protocol/limits.ts';
import { endsOf, parseRow, readTable, type SocketRow, type TableName, tableAddress } from './socket-table.ts';

export interface SocketOwners {
  /** The uid of who made the other side of an accepted TCP connection; rejects if that cannot be told for certain. */
  uidOf(accepted: Socket): Promise<number>;
}

/** The far side's: it may have ended its half already. */
const OPEN_STATES: readonly number[] = [0x01, 0x04, 0x05];
const ROOT = 0;

/** @param now ms, monotonic @param read as `readTable` */
export function createSocketOwners(now: () => number, read: typeof readTable = readTable): SocketOwners {
  const waiting = new Set<Search>();
  let running = false;

  /** One pass over the tables for all that wait now. */
  async function pass(): Promise<void> {
    const searches = [...waiting];
    for (const table of ['tcp', 'tcp6'] as const) {
      const rows = new Map(searches.flatMap((search) => search.rows(table)));
      if (rows.size === 0) continue;
      const untilMs = Math.max(...searches.map((search) => search.untilMs));
      const each = (line: string) => rows.get(endsOf(table, line))?.(parseRow(line));
      await read(table, each, () => now() < untilMs && searches.some(({ over }) => !over));
    }
    for (const search of searches) {
      search.passed(now());
      if (search.over) waiting.delete(search);
    }
  }

  async function run(): Promise<void> {
    running = true;
    try {
      while (waiting.size > 0) await pass();
    } catch (error) {
      const reason = `the table of sockets cannot be read: ${(error as Error).message}`;
      for (const search of waiting) search.fail(reason);
      waiting.clear();
    } finally {
      running = false;
    }
  }

  return Object.freeze({
    async uidOf(accepted: Socket) {
      if (waiting.size >= LIMITS.doorLookupsMax) throw new Error('too many connections wait for that');
      const search = new Search(accepted, now() + LIMITS.doorLookupMs);
      waiting.add(search);
      if (!running) run();
      return search.found;
    },
  });
}

class Search {
  readonly untilMs: number;
  readonly #inode: number;
  /** From our side and from the far one, in each table that may have them. */
  readonly #ends: Readonly<Record<TableName, { readonly own: string; readonly far: string } | undefined>>;
  readonly #result = Promise.withResolvers<number>();
  #far: SocketRow | undefined;
  #seen: SocketRow | undefined;
  #passes = 0;
  over = false;

  constructor(accepted: Socket, untilMs: number) {
    this.untilMs = untilMs;
    this.#inode = inodeOf(accepted);
    this.#ends = { tcp: endsIn('tcp', accepted), tcp6: endsIn('tcp6', accepted) };
  }

  get found(): Promise<number> {
    return this.#result.promise;
  }

  /** What it looks for in a table, and what to do with it. */
  rows(table: TableName): [ends: string, found: (row: SocketRow) => void][] {
    const ends = this.#ends[table];
    if (this.over || ends === undefined) return [];
    return [
      [ends.far, (row) => this.#farRow(row)],
      [ends.own, (row) => this.#ownRow(row)],
    ];
  }

  #farRow(row: SocketRow): void {
    if (row.inode === 0 || !OPEN_STATES.includes(row.state)) return;
    if (row.uid !== ROOT || this.#seen?.inode === row.inode) this.#far = row;
    this.#seen = row;
  }

  #ownRow(row: SocketRow): void {
    if (this.#far === undefined || row.inode !== this.#inode) return;
    this.over = true;
    this.#result.resolve(this.#far.uid);
  }

  /** The tables have been read once more. */
  passed(nowMs: number): void {
    if (this.over) return;
    this.#passes += 1;
    if (nowMs >= this.untilMs) this.fail(`it took over ${LIMITS.doorLookupMs} ms`);
    else if (this.#passes >= LIMITS.doorLookupPassesMax)
      this.fail('it is not in the table of sockets, or is closed');
  }

  fail(reason: string): void {
    this.over = true;
    this.#result.reject(new Error(reason));
  }
}

/** Node's own name for what is below a socket; not part of its documented interface. */
interface Handled {
  readonly _handle: { readonly fd?: number } | null;
}

function inodeOf(accepted: Socket): number {
  const fd = (accepted as unknown as Handled)._handle?.fd;
  if (fd === undefined || fd < 0) throw new Error('the connection has no file descriptor');
  return fstatSync(fd).ino;
}

/** An IPv6 socket may have connected to an IPv4 door, so its side stands in the other table, in the longer form. */
function endsIn(table: TableName, accepted: Socket): { own: string; far: string } | undefined {
  const { localAddress, localPort, remoteAddress, remotePort } = accepted;
  if (localAddress === undefined || localPort === undefined) return undefined;
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  const own = tableAddress(table, localAddress, localPort);
  const far = tableAddress(table, remoteAddress, remotePort);
  if (own === undefined || far === undefined) return undefined;
  return { own: `${own} ${far}`, far: `${far} ${own}` };
}
