import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { UsageError } from './exit.ts';

/** The text of a configuration file. @throws UsageError if it cannot be read. */
export async function readConfigFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const { code = 'failed' } = error as NodeJS.ErrnoException;
    const why = WHY[code] ?? code;
    throw new UsageError(`cannot read ${resolve(file)}: ${why}. docs/configuration.md says what it holds`);
  }
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a folder, and a file is expected',
  EACCES: 'this user may not read it',
};
