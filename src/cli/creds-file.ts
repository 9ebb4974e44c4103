import { readFile } from 'node:fs/promises';
import { UsageError } from './exit.ts';
import { shownFile } from './shown-file.ts';

/** NATS reads the credentials when it connects, and says less. @throws UsageError if they cannot be read */
export async function checkCredsFile(file: string): Promise<void> {
  await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`cannot read the credentials ${shownFile(file)} (${error.code})`);
  });
}
