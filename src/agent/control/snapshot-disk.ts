/**
 * The last good publications as files, so that an agent routes as before when it starts while the controller and
 * the bus are away. They are signed, and checked again when they are read: a file can be lost, but not forged.
 */
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../../disk/whole-file.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { type PublicationKind, publicationKey } from '../../protocol/subjects.ts';

export interface SnapshotDisk {
  /** The text that was kept; undefined if there is none or it cannot be read. */
  read(kind: PublicationKind, service: string): Promise<string | undefined>;
  /** Keeps a text; of several for one file that wait, the last. */
  write(kind: PublicationKind, service: string, text: string): void;
  /** Resolves when nothing waits to be written. */
  settled(): Promise<void>;
}

/** `failed`: a file could not be read or written; everything goes on without it. */
export function createSnapshotDisk(
  folder: string,
  failed: (error: unknown, file: string) => void,
): SnapshotDisk {
  const waiting = new Map<string, string>();
  let writing: Promise<void> | undefined;
  const fileOf = (kind: PublicationKind, service: string) =>
    join(folder, `${publicationKey(kind, service)}.jws`);

  /** One at a time: a burst of changes must not open a thousand files. */
  async function writeAll(): Promise<void> {
    for (const [file, text] of waiting) {
      waiting.delete(file);
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await replaceFile(file, text);
      } catch (error) {
        failed(error, file);
      }
    }
    writing = undefined;
  }

  return Object.freeze({
    async read(kind: PublicationKind, service: string) {
      const file = fileOf(kind, service);
      try {
        return await readBounded(file);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') failed(error, file);
        return undefined;
      }
    },
    write(kind: PublicationKind, service: string, text: string) {
      waiting.set(fileOf(kind, service), text);
      writing ??= writeAll();
    },
    async settled() {
      while (writing !== undefined) await writing;
    },
  });
}

async function readBounded(file: string): Promise<string> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    if (size > LIMITS.publicationBytesMax) throw new Error(`over ${LIMITS.publicationBytesMax} bytes`);
    return await handle.readFile('latin1');
  } finally {
    await handle.close();
  }
}
