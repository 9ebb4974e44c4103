/**
 * The configuration file of the mesh's nats-server, kept in step with who is enrolled.
 *
 * F1  The file is whole at all times: it is written beside itself and moved into its place.
 * F2  The server is told after each change, and once when this begins; whom it may not tell it writes nothing for, so that it is
 *     tried again.
 */
import { readFile } from 'node:fs/promises';
import { replaceFile } from '../disk/whole-file.ts';
import { type NatsConfigOptions, natsConfigText } from './config-text.ts';
import { reloadNatsServer, runningNatsServer } from './server-process.ts';
import type { NatsUsers } from './users.ts';

export interface NatsConfigFileOptions extends NatsConfigOptions {
  /** Where it is written. */
  readonly file: string;
}

/** `written`: and no server runs that could be told. */
export type NatsConfigResult = 'unchanged' | 'written' | 'reloaded';

/**
 * Writes the configuration if it says something new, and has the server of `pidFile` read it again. Call it with all users
 * each time: whoever is not among them is cut off. Of one file, one call at a time (`createNatsConfigFile` sees to that).
 * @param tell the server also if the file says this already: whoever wrote it may have ended before that
 * @throws WeftError if users are malformed; Error if the server may not be signalled; an error of the file system. Then the file
 * is as it was.
 */
export async function writeNatsConfig(
  users: NatsUsers,
  options: NatsConfigFileOptions,
  tell = false,
): Promise<NatsConfigResult> {
  const { file, pidFile } = options;
  const text = natsConfigText(users, options);
  const same = (await readFile(file, 'utf8').catch(() => undefined)) === text;
  if (same && !tell) return 'unchanged';
  const server = pidFile === undefined ? undefined : await runningNatsServer(pidFile);
  // Readable for all: the server may run as another user, and there are no secrets in it.
  if (!same) await replaceFile(file, text, 0o644);
  if (server === undefined) return same ? 'unchanged' : 'written';
  reloadNatsServer(server);
  return 'reloaded';
}

export interface NatsConfigFileParts {
  readonly options: NatsConfigFileOptions;
  /** Calls once, later; returns what calls it off. */
  readonly delay: (ms: number, then: () => void) => () => void;
  readonly written: (result: NatsConfigResult) => void;
  /** It is tried again by itself. */
  readonly failed: (error: unknown) => void;
}

export interface NatsConfigFile {
  /** These are all users from now on. It is written soon, together with what else changes until then. */
  update(users: NatsUsers): void;
  /** Writes what waits now; resolves when that is done, or has failed. */
  flush(): Promise<void>;
  /** Writes nothing more; resolves when nothing is being written. */
  stop(): Promise<void>;
}

/** A change is waited for this long after another one: hosts are often enrolled by the dozen. */
const GATHER_MS = 100;
const RETRY_MS = 5_000;

export function createNatsConfigFile(parts: NatsConfigFileParts): NatsConfigFile {
  let wanted: NatsUsers | undefined;
  let callOff: (() => void) | undefined;
  let writing: Promise<void> = Promise.resolve();
  let told = false;
  let stopped = false;

  const later = (ms: number) => {
    callOff ??= parts.delay(ms, () => void flush());
  };
  const write = async (): Promise<void> => {
    const users = wanted;
    if (users === undefined) return;
    wanted = undefined;
    try {
      const result = await writeNatsConfig(users, parts.options, !told);
      told = true;
      parts.written(result);
    } catch (error) {
      parts.failed(error);
      if (stopped) return;
      wanted ??= users;
      later(RETRY_MS);
    }
  };
  const flush = (): Promise<void> => {
    callOff?.();
    callOff = undefined;
    writing = writing.then(write);
    return writing;
  };

  return Object.freeze({
    update(users: NatsUsers) {
      if (stopped) return;
      wanted = users;
      later(GATHER_MS);
    },
    flush,
    stop() {
      stopped = true;
      wanted = undefined;
      callOff?.();
      callOff = undefined;
      return writing;
    },
  });
}
