/**
 * What an agent keeps of signed packets, so that they can be proven to others later: a file of lines for each service, and
 * a few full ones before it. Lines are gathered and written one file after the other, off the path of requests: what the
 * disk does not take is lost and counted, and the requests go on.
 */
import { appendFile, mkdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { LIMITS } from '../protocol/limits.ts';
import { createLogRate } from '../protocol/log-rate.ts';

export interface EvidenceLog {
  /** Keeps a line, which has its line end. */
  append(service: string, line: string): void;
  /** Resolves when nothing waits to be written. */
  settled(): Promise<void>;
}

export interface EvidenceLogParts {
  /** Undefined: there is nowhere to keep anything, and all is lost. */
  readonly folder: string | undefined;
  readonly log: Pick<Logger, 'warn'>;
  readonly now: () => number;
  readonly counted: (result: 'written' | 'lost', packets: number) => void;
  /** What a file may have, in bytes. */
  readonly fileBytesMax?: number;
}

export function createEvidenceLog(parts: EvidenceLogParts): EvidenceLog {
  const { folder, log, now, counted, fileBytesMax = LIMITS.evidenceFileBytesMax } = parts;
  const waiting = new Map<string, string[]>();
  let waitingBytes = 0;
  let writing: Promise<void> | undefined;
  /** Services whose file ends with a whole line of ours. */
  const begun = new Set<string>();
  const mayLog = createLogRate(1, now, () => {});

  const lost = (service: string, packets: number, error: unknown) => {
    counted('lost', packets);
    if (mayLog()) log.warn({ service, packets, err: error }, 'evidence was lost');
  };

  async function write(into: string, service: string, lines: readonly string[]): Promise<void> {
    const file = join(into, `${service}.jsonl`);
    const text = lines.join('');
    try {
      await mkdir(into, { recursive: true, mode: 0o700 });
      const size = await sizeOf(file);
      const full = size > 0 && size + text.length > fileBytesMax;
      if (full) await rotate(file);
      // An earlier process, or an earlier try, may have left half a line.
      const torn = size > 0 && !full && !begun.has(service);
      begun.delete(service);
      await appendFile(file, torn ? `\n${text}` : text, { encoding: 'latin1', mode: 0o600 });
      begun.add(service);
      counted('written', lines.length);
    } catch (error) {
      lost(service, lines.length, error);
    }
  }

  async function writeAll(into: string): Promise<void> {
    for (const [service, lines] of waiting) {
      waiting.delete(service);
      await write(into, service, lines);
      for (const line of lines) waitingBytes -= line.length;
    }
    writing = undefined;
  }

  return Object.freeze({
    append(service: string, line: string) {
      if (folder === undefined) return lost(service, 1, new Error('the agent has no data folder'));
      if (waitingBytes + line.length > LIMITS.evidenceWaitingBytesMax) {
        return lost(service, 1, new Error('the disk is too slow'));
      }
      waitingBytes += line.length;
      const lines = waiting.get(service);
      if (lines === undefined) waiting.set(service, [line]);
      else lines.push(line);
      writing ??= writeAll(folder);
    },
    async settled() {
      while (writing !== undefined) await writing;
    },
  });
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

/** `orders.default.jsonl` becomes `….jsonl.1`, that one `….jsonl.2`; the last one goes. */
async function rotate(file: string): Promise<void> {
  for (let at: number = LIMITS.evidenceFilesFull; at > 0; at--) {
    const from = at === 1 ? file : `${file}.${at - 1}`;
    await rename(from, `${file}.${at}`).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
}
