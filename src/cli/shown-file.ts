import { printable } from './printable.ts';

/** An NKey seed, whatever its kind. */
const SEED = /^S[A-Z][A-Z2-7]{56}$/;

/** The name of a file for an error: not if somebody gave a secret where the file that holds it was asked for. */
export function shownFile(file: string): string {
  return SEED.test(file.trim()) ? '(a seed, which is secret: name the file that holds it)' : printable(file);
}
