/** Writing a chunked body (RFC 9112 §7.1). */
import { type Fields, fieldsText } from '../../protocol/fields.ts';

/** What stands before `length` bytes of data; after them comes CHUNK_END. Not for 0: that would end the body. */
export function chunkStart(length: number): string {
  return `${length.toString(16)}\r\n`;
}

export const CHUNK_END = '\r\n';

/** What ends the body: the last chunk and the trailers. */
export function lastChunk(trailers: Fields | undefined): string {
  return trailers === undefined ? '0\r\n\r\n' : `0\r\n${fieldsText(trailers)}\r\n`;
}
