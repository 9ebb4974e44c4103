import { stripVTControlCharacters } from 'node:util';

/** AVA's tick and cross, and what they are on terminals without Unicode. */
const PASSED = /^ {2}[✔√] /;
const FAILED = /^ {2}[✘×] (?!Exiting due to )/;

/**
 * Counts from what AVA's default reporter prints as it runs, because its summary leaves the passed tests out
 * when others failed. A file that ends early, times out or holds no test is one failure.
 */
export function createTestCount() {
  let passed = 0;
  let failed = 0;
  return Object.freeze({
    /** @param line one line of AVA's output, with or without colours */
    add(line: string): void {
      const plain = stripVTControlCharacters(line);
      if (PASSED.test(plain)) passed += 1;
      else if (FAILED.test(plain)) failed += 1;
    },
    total: () => ({ passed, failed }),
  });
}
