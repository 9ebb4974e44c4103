/** `weft verify`: what has been said, by whom and when, in packets that an agent has kept as evidence? Needs no mesh. */
import { createReadStream } from 'node:fs';
import { WeftError } from '../protocol/errors.ts';
import { checkEvidence, readEvidenceLine } from '../protocol/evidence-record.ts';
import { LIMITS } from '../protocol/limits.ts';
import { agentId } from '../protocol/names.ts';
import { isPublicNkey, publicNkeyOf, verificationKey } from '../protocol/nkey.ts';
import type { RootKeys } from '../protocol/signed-document.ts';
import { resolveContext } from './context.ts';
import { type Statement, statementsOf, statementText } from './evidence-content.ts';
import { EXIT, UsageError } from './exit.ts';
import { readRootFile } from './mesh-folder.ts';
import { type OutputFormat, print } from './output.ts';
import { printable } from './printable.ts';

export interface VerifyOptions {
  /** Public roots (`A…`), or files of roots. */
  readonly root?: readonly string[];
  readonly context?: string;
  readonly output: OutputFormat;
}

/** Twice what an agent puts into one file. */
const FILE_BYTES_MAX = 2 * LIMITS.evidenceFileBytesMax;
const PACKETS_MAX = 100_000;
const LINE_END = 0x0a;

type VerifiedPacket = { readonly line: number } & (
  | { readonly ok: false; readonly reason: string }
  | {
      readonly ok: true;
      /** The line before that holds the same packet. */
      readonly sameAs: number | null;
      readonly time: string;
      /** SPIFFE ID of the agent that has signed it. */
      readonly agent: string;
      readonly session: string;
      readonly counter: number;
      readonly service: string;
      /** Whom it was for: a service, or an agent. */
      readonly audience: string;
      readonly subject: string;
      readonly statements: readonly Statement[];
    }
);

/** @returns `refused` if a line is no evidence */
export async function verify(file: string, options: VerifyOptions): Promise<number> {
  const roots = await rootsOf(options);
  const bytes = await bytesOf(file);
  const packets: VerifiedPacket[] = [];
  const seen = new Map<string, number>();
  let line = 0;
  for (let start = 0; start < bytes.length; ) {
    const found = bytes.indexOf(LINE_END, start);
    const end = found < 0 ? bytes.length : found;
    line += 1;
    if (end > start) {
      if (packets.length >= PACKETS_MAX) throw new UsageError(`${file}: over ${PACKETS_MAX} lines; split it`);
      packets.push(verifyLine(bytes.subarray(start, end), line, roots, seen));
    }
    start = end + 1;
  }
  if (packets.length === 0) throw new UsageError(`${file}: there is no evidence in it`);
  print(options.output, { packets }, () => tableOf(packets));
  return packets.every(({ ok }) => ok) ? EXIT.done : EXIT.refused;
}

function verifyLine(bytes: Buffer, line: number, roots: RootKeys, seen: Map<string, number>): VerifiedPacket {
  try {
    // One byte more than may be is enough to be refused.
    const record = readEvidenceLine(bytes.toString('latin1', 0, LIMITS.evidenceLineBytesMax + 1));
    const checked = checkEvidence(roots, record);
    const { session, counter, audience, sentAtMs, sender } = checked.header;
    const statements = statementsOf(record, checked);
    const signature = record.signature.toString('latin1');
    const sameAs = seen.get(signature) ?? null;
    if (sameAs === null) seen.set(signature, line);
    return {
      line,
      ok: true,
      sameAs,
      time: new Date(sentAtMs).toISOString(),
      agent: agentId(record.mesh, sender),
      session,
      counter,
      service: record.service,
      audience,
      subject: record.subject,
      statements,
    };
  } catch (error) {
    if (error instanceof WeftError) return { line, ok: false, reason: error.message };
    throw error;
  }
}

function tableOf(packets: readonly VerifiedPacket[]): string {
  const failed = packets.filter(({ ok }) => !ok).length;
  const lines = packets.map((packet) => `${printable(lineOf(packet))}\n`);
  return `${lines.join('')}${packets.length} packets, ${failed} failed\n`;
}

function lineOf(packet: VerifiedPacket): string {
  if (!packet.ok) return `line ${packet.line}  failed  ${packet.reason}`;
  const { line, sameAs, time, agent, service, audience, statements } = packet;
  const whom = audience === service ? service : `${audience}, about ${service}`;
  const said = statements.map(statementText).join('; ') || 'nothing but how far it is';
  const again = sameAs === null ? '' : ` (the packet of line ${sameAs} again)`;
  return `line ${line}  ok  ${time}  ${agent} to ${whom}: ${said}${again}`;
}

async function rootsOf({ root, context }: VerifyOptions): Promise<RootKeys> {
  if (root === undefined) {
    const options = context === undefined ? {} : { context };
    return (await resolveContext(options, { cwd: process.cwd(), env: process.env })).rootKey();
  }
  const keys = root.map(async (one) => {
    if (isPublicNkey('account', one)) return one;
    // As the name of a file it would be repeated.
    if (publicNkeyOf('account', one) !== undefined) {
      throw new UsageError(
        '--root: this is the seed of a root, which is secret; expected its public half (A…), or its file',
      );
    }
    return (await readRootFile(one)).publicKey;
  });
  return (await Promise.all(keys)).map(verificationKey);
}

async function bytesOf(file: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of createReadStream(file)) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > FILE_BYTES_MAX) break;
    }
  } catch (error) {
    throw new UsageError(`cannot read ${file} (${(error as NodeJS.ErrnoException).code})`);
  }
  if (length > FILE_BYTES_MAX)
    throw new UsageError(`${file}: over ${FILE_BYTES_MAX} bytes; split it at a line`);
  return Buffer.concat(chunks);
}
