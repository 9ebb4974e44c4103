/** One look at one local instance: does it accept a connection, does it answer as it should. */
import { connect } from 'node:net';
import { WeftError } from '../../protocol/errors.ts';
import { addressText, type HostPort } from '../address.ts';
import { ClientConnection } from '../http1/client-connection.ts';
import type { HealthConfig } from '../workload-config.ts';

/** Called once: with what is wrong, in words, or with undefined if nothing is. */
export type ProbeDone = (fault: string | undefined) => void;

/** Looks once. Returns what breaks it off; `done` is not called after that. */
export type Probe = (target: HostPort, health: HealthConfig, done: ProbeDone) => () => void;

export const probe: Probe = (target, health, done) => {
  const { path, timeoutMs } = health;
  let close = () => {};
  let over = false;
  const end = (fault: string | undefined) => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    close();
    done(fault);
  };
  const timer = setTimeout(() => {
    // Timers come before sockets: after a pause of this process the answer may be there and not yet read.
    setImmediate(() => end(`${where(target, path)}: no answer within ${timeoutMs} ms`));
  }, timeoutMs);
  close = path === undefined ? probeTcp(target, end) : probeHttp(target, path, health, end);
  return () => {
    over = true;
    clearTimeout(timer);
    close();
  };
};

function probeTcp(target: HostPort, end: ProbeDone): () => void {
  const socket = connect({ host: target.host, port: target.port });
  socket.on('connect', () => end(undefined));
  socket.on('error', (error: NodeJS.ErrnoException) => {
    end(`${addressText(target)}: ${error.code ?? error.message}`);
  });
  return () => void socket.destroy();
}

function probeHttp(target: HostPort, path: string, { expect }: HealthConfig, end: ProbeDone): () => void {
  const fail = (error: unknown) =>
    end(`${where(target, path)}: ${error instanceof WeftError ? error.message : 'an unexpected fault'}`);
  const head = `GET ${path} HTTP/1.1\r\nhost: ${addressText(target)}\r\nuser-agent: weft-health\r\nconnection: close\r\n\r\n`;
  const exchange = {
    responseInformational() {},
    responseHead({ status }: { readonly status: number }) {
      const expected = expect.some(([from, to]) => status >= from && status <= to);
      end(expected ? undefined : `${where(target, path)}: status ${status}`);
    },
    responseData() {},
    responseEnd() {},
    responseFailed: fail,
    requestDrained() {},
  };
  const connection = new ClientConnection(target, {
    opened(opened, error) {
      if (error !== undefined) fail(error);
      else opened.send(exchange, head, 'GET', 0);
    },
    idle: (idle) => idle.destroy(),
    closed() {},
  });
  return () => connection.destroy();
}

function where(target: HostPort, path: string | undefined): string {
  return path === undefined ? addressText(target) : `GET http://${addressText(target)}${path}`;
}
