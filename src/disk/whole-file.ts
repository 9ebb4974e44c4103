/** Files of which readers see all of the old text or all of the new one, whenever this process or the power ends. */
import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Writes a text beside the file and moves it into its place; it is on the disk when this resolves. Writers do not disturb
 * each other, the last one stays.
 * @param mode of the file: secrets have 0o600, which is the default
 * @throws the error of the file system; the file is as it was then
 */
export async function replaceFile(file: string, text: string, mode = 0o600): Promise<void> {
  const fresh = `${file}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    const handle = await open(fresh, 'wx', mode);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(fresh, file);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
  await syncFolder(dirname(file));
}

/** Names that were given and taken away in a folder outlive a power failure once the folder has been written too. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
