/**
 * W3C Trace Context: a valid trace that comes in goes on untouched, with its tracestate; else a new one starts.
 * Weft exports no spans, so it takes no part in the trace of its own (Trace Context §3.4 allows to forward as is)
 * and never decides to sample. Baggage passes like any other field.
 */
import { randomFillSync } from 'node:crypto';
import type { Fields } from './fields.ts';

/** version - trace id - parent id - flags; a version above 00 may carry more (Trace Context §3.2.2, §3.2.4). */
const TRACEPARENT =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[ -~]{0,200})?$/;

const TRACE_ID_BYTES = 16;
const IDS_BYTES = TRACE_ID_BYTES + 8;
/** One call for random bytes serves this many new traces: each call costs a microsecond. */
const IDS_PER_FILL = 128;

export class Tracer {
  readonly #pool = Buffer.alloc(IDS_BYTES * IDS_PER_FILL);
  readonly #fill: (pool: Buffer) => unknown;
  #at = IDS_BYTES * IDS_PER_FILL;

  /** `fill` fills a buffer with random bytes. */
  constructor(fill: (pool: Buffer) => unknown = randomFillSync) {
    this.#fill = fill;
  }

  /** Makes sure that a request's fields carry one valid trace; changes them in place. Returns its trace id, 32 hex digits. */
  continue(fields: Fields): string {
    return traceIdOf(fields) ?? this.#start(fields);
  }

  #start(fields: Fields): string {
    removeTrace(fields);
    const traceId = this.#id(TRACE_ID_BYTES);
    fields.push('traceparent', `00-${traceId}-${this.#id(IDS_BYTES - TRACE_ID_BYTES)}-00`);
    return traceId;
  }

  #id(bytes: number): string {
    if (this.#at + bytes > this.#pool.length) {
      this.#fill(this.#pool);
      this.#at = 0;
    }
    const id = this.#pool.toString('hex', this.#at, this.#at + bytes);
    this.#at += bytes;
    // An id of zeros is not valid; it comes up once in 2^64.
    return /[^0]/.test(id) ? id : `${id.slice(1)}1`;
  }
}

/** The trace id, 32 hex digits, of the one valid trace that the fields carry. */
export function traceIdOf(fields: Fields): string | undefined {
  let value: string | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'traceparent') continue;
    if (value !== undefined) return undefined;
    value = fields[i + 1]!;
  }
  const match = value === undefined ? null : TRACEPARENT.exec(value);
  if (match === null || (match[1] === '00' && match[3] !== undefined)) return undefined;
  return match[2];
}

function removeTrace(fields: Fields): void {
  let kept = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    if (name === 'traceparent' || name === 'tracestate') continue;
    fields[kept] = name;
    fields[kept + 1] = fields[i + 1]!;
    kept += 2;
  }
  fields.length = kept;
}
