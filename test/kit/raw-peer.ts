import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** One end of a connection that a test plays byte by byte: it reads what it expects next, as latin1 text. */
export class RawPeer {
  readonly socket: Socket;
  /** True if the other side broke the connection off instead of ending it. */
  broken = false;
  #text = '';
  #ended = false;
  #arrived = Promise.withResolvers<void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.#text += chunk.toString('latin1');
      this.#wake();
    });
    socket.on('error', () => {
      this.broken = true;
    });
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#ended = true;
        this.#wake();
      });
    }
  }

  write(text: string): void {
    this.socket.write(text, 'latin1');
  }

  /** Sends nothing more; still reads. */
  end(text = ''): void {
    this.socket.end(text, 'latin1');
  }

  /** Takes everything through `mark`. */
  async until(mark: string): Promise<string> {
    for (;;) {
      const at = this.#text.indexOf(mark);
      if (at >= 0) return this.#take(at + mark.length);
      await this.#more(`until ${JSON.stringify(mark)}`);
    }
  }

  /** Takes a head with its blank line. */
  head(): Promise<string> {
    return this.until('\r\n\r\n');
  }

  async bytes(count: number): Promise<string> {
    while (this.#text.length < count) await this.#more(`${count} bytes`);
    return this.#take(count);
  }

  /** Takes everything until the other side ends. */
  async rest(): Promise<string> {
    while (!this.#ended) await this.#arrived.promise;
    return this.#take(this.#text.length);
  }

  #take(count: number): string {
    const taken = this.#text.slice(0, count);
    this.#text = this.#text.slice(count);
    return taken;
  }

  async #more(wanted: string): Promise<void> {
    if (this.#ended) throw new Error(`the peer ended; wanted ${wanted}, left ${JSON.stringify(this.#text)}`);
    await this.#arrived.promise;
  }

  #wake(): void {
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
  }
}

/** Connects to a door, or to anything else on loopback. */
export async function dial(port: number): Promise<RawPeer> {
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
  await once(socket, 'connect');
  return new RawPeer(socket);
}

/** The header lines of a head, in order, as `name: value`. */
export function headerLines(head: string): string[] {
  return head.split('\r\n').slice(1, -2);
}
