import type { Fields } from '../fields.ts';
import { BYTES_MAX, LINES_MAX } from '../head.ts';

/** Of a request line on the bus beside method and target: service, caller, deadline. */
const LINE_REST_BYTES = 512;

/**
 * What is too much in a head that a route has changed, in words; undefined if it passes. More would be refused at
 * the other end, as if this agent had broken the rules of the bus.
 * @param startLine what varies of its start line
 */
export function headExcess(fields: Fields, startLine: string): string | undefined {
  if (fields.length > 2 * LINES_MAX) return `has over ${LINES_MAX} lines`;
  let bytes = startLine.length + LINE_REST_BYTES;
  // A colon, a blank and a line end for each name and value.
  for (let at = 0; at < fields.length; at += 2) bytes += fields[at]!.length + fields[at + 1]!.length + 4;
  return bytes > BYTES_MAX ? `is over ${BYTES_MAX} bytes` : undefined;
}
