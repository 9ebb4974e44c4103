/**
 * A signed packet as it is kept: one line of JSON, with all that somebody needs who knows nothing but the public half of
 * a mesh root.
 */

import { WeftError } from './errors.ts';
import { isEvidence, type SignedPacket } from './evidence.ts';
import { SIGNATURE_BYTES } from './frames.ts';
import { type PeerIdentity, readIntroduction } from './introduction.ts';
import { LIMITS } from './limits.ts';
import { isLabel, isServiceName } from './names.ts';
import { type PacketHeader, readHeader, TAG_BYTES } from './packet.ts';
import type { RootKeys } from './signed-document.ts';

export interface EvidenceRecord extends SignedPacket {
  readonly mesh: string;
  /** Of the sender: who it is, as the root and then the agent itself have signed it. */
  readonly introduction: string;
  readonly signature: Buffer;
}

/** A record whose signatures hold. */
export interface CheckedEvidence {
  readonly header: PacketHeader;
  readonly sender: PeerIdentity;
}

/** One line, with its line end. */
export function evidenceLine(record: EvidenceRecord): string {
  const { mesh, service, subject, introduction, header, frames, signature } = record;
  const bytes = {
    header: header.toString('base64'),
    frames: frames.toString('base64'),
    signature: signature.toString('base64'),
  };
  return `${JSON.stringify({ version: 1, mesh, service, subject, introduction, ...bytes })}\n`;
}

/**
 * Reads a line that anybody may have written. Nothing of what it says has been checked.
 * @throws WeftError `denied` if it is no record of this form
 */
export function readEvidenceLine(line: string): EvidenceRecord {
  if (line.length > LIMITS.evidenceLineBytesMax) {
    throw denied(`the line has over ${LIMITS.evidenceLineBytesMax} bytes`);
  }
  let value: Readonly<Record<string, unknown>> | null;
  try {
    value = JSON.parse(line);
  } catch {
    throw denied('the line is not JSON');
  }
  const { version, mesh, service, subject, introduction, header, frames, signature } = value ?? {};
  if (version !== 1) throw denied('the line is no evidence of version 1');
  if (typeof mesh !== 'string' || !isLabel(mesh)) throw denied('mesh is no name of a mesh');
  if (typeof service !== 'string' || !isServiceName(service)) throw denied('service is no name of a service');
  if (typeof subject !== 'string' || !/^[!-~]+$/.test(subject)) throw denied('subject is no NATS subject');
  if (typeof introduction !== 'string') throw denied('introduction is missing');
  return {
    mesh,
    service,
    subject,
    introduction,
    header: bytesOf('header', header),
    frames: bytesOf('frames', frames),
    signature: bytesOf('signature', signature, SIGNATURE_BYTES),
  };
}

/**
 * Checks that the sender's identity was signed by a root and held when the packet was sent, and that the sender has
 * signed the packet.
 * @throws WeftError `denied`, or `stream_protocol` if the header is malformed
 */
export function checkEvidence(roots: RootKeys, record: EvidenceRecord): CheckedEvidence {
  const { mesh, introduction, signature } = record;
  const header = readHeader(Buffer.concat([record.header, Buffer.alloc(TAG_BYTES)]));
  if (header.length !== record.header.length || header.document !== undefined) {
    throw denied('the header is not one without a document');
  }
  const sender = readIntroduction(roots, mesh, introduction, header.sentAtMs);
  if (sender.agent !== header.sender) {
    throw denied(`the packet is of ${header.sender}, and the identity of ${sender.agent}`);
  }
  if (!isEvidence(sender.signingKey, mesh, record, signature)) {
    throw denied(`${sender.agent} has not signed this packet`);
  }
  return { header, sender };
}

/** Canonical base64: Node itself skips what is not base64. */
function bytesOf(name: string, text: unknown, length?: number): Buffer {
  const bytes = typeof text === 'string' ? Buffer.from(text, 'base64') : undefined;
  if (bytes === undefined || bytes.toString('base64') !== text) throw denied(`${name} is not base64`);
  if (length !== undefined && bytes.length !== length) throw denied(`${name} has not ${length} bytes`);
  return bytes;
}

function denied(what: string): WeftError {
  return new WeftError('denied', what);
}
