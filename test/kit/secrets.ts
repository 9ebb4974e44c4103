/** What may stand nowhere, in every form in which it could. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { seedBytes } from '../../src/protocol/nkey.ts';

export interface Secret {
  readonly name: string;
  /** Each is one form of it. */
  readonly forms: readonly Buffer[];
}

/** A secret of so many bytes: as they are, and as hex, base64 and base64url write them, also in the midst of others. */
export function secretBytes(name: string, bytes: Uint8Array): Secret {
  const raw = Buffer.from(bytes);
  const hex = raw.toString('hex');
  const base64 = [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), raw]).toString('base64');
    // Characters that hold bits of what stands before or after it could be any.
    const own = text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + raw.length) * 8) / 6));
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')];
  });
  const texts = [hex, hex.toUpperCase(), ...base64];
  return { name, forms: [raw, ...texts.map((text) => Buffer.from(text, 'latin1'))] };
}

/** A secret that is a text. */
export function secretText(name: string, text: string): Secret {
  return secretBytes(name, Buffer.from(text, 'latin1'));
}

/** The seed of an NKey: as text, and the key that it stands for. */
export function secretSeed(name: string, seed: string): Secret {
  const [text, key] = [secretText(name, seed), secretBytes(name, seedBytes(seed))];
  return { name, forms: [...text.forms, ...key.forms] };
}

/** The names of the secrets that stand in `content`. */
export function secretsIn(content: Uint8Array | string, secrets: readonly Secret[]): string[] {
  const bytes = Buffer.from(content as string);
  return secrets.filter(({ forms }) => forms.some((form) => bytes.includes(form))).map(({ name }) => name);
}

export interface SecretFile {
  readonly file: string;
  readonly secrets: readonly string[];
  /** Of the file and of the folder that it is in, like `600 700`. */
  readonly modes: string;
}

/** The files below `folder` in which secrets stand. */
export async function secretFiles(folder: string, secrets: readonly Secret[]): Promise<SecretFile[]> {
  const found: SecretFile[] = [];
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    const inIt = secretsIn(await readFile(file), secrets);
    if (inIt.length === 0) continue;
    const modes = await Promise.all(
      [file, dirname(file)].map(async (path) => (await stat(path)).mode & 0o777),
    );
    found.push({ file, secrets: inIt, modes: modes.map((mode) => mode.toString(8)).join(' ') });
  }
  return found;
}
