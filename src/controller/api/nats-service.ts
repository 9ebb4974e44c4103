/** A NATS service (ADR-32: `$SRV.PING`, `.INFO`, `.STATS`), so that `nats service ls` and `info` show the controller. */
import { headers, type Msg, type NatsConnection, type Subscription } from '@nats-io/nats-core';

export interface ServiceEndpoint {
  readonly name: string;
  readonly subject: string;
  readonly queue: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Never throws. */
  answer(payload: Uint8Array): Promise<ServiceAnswer>;
}

export interface ServiceAnswer {
  readonly text: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  /** It was refused; for statistics, and told in a header. */
  readonly error?: { readonly message: string };
}

export interface NatsServiceOptions {
  readonly connection: NatsConnection;
  readonly name: string;
  readonly id: string;
  /** Semantic version. */
  readonly version: string;
  readonly description: string;
  readonly wallMs: () => number;
  readonly now: () => number;
}

export interface NatsService {
  add(endpoint: ServiceEndpoint): void;
  /** Answers it no more; of one that is not there, nothing happens. */
  remove(name: string): void;
  stop(): void;
}

interface Running {
  readonly endpoint: ServiceEndpoint;
  readonly subscription: Subscription;
  requests: number;
  errors: number;
  lastError: string;
  spentNs: number;
}

const TYPE = 'io.nats.micro.v1';

export function createNatsService(options: NatsServiceOptions): NatsService {
  const { connection, name, id, version, description, wallMs, now } = options;
  const running = new Map<string, Running>();
  const started = new Date(wallMs()).toISOString();
  const self = { name, id, version, metadata: {} };

  const ping = () => ({ type: `${TYPE}.ping_response`, ...self });
  const info = () => ({
    type: `${TYPE}.info_response`,
    ...self,
    description,
    endpoints: [...running.values()].map(({ endpoint }) => ({
      name: endpoint.name,
      subject: endpoint.subject,
      queue_group: endpoint.queue,
      metadata: endpoint.metadata,
    })),
  });
  const stats = () => ({
    type: `${TYPE}.stats_response`,
    ...self,
    started,
    endpoints: [...running.values()].map(({ endpoint, requests, errors, lastError, spentNs }) => ({
      name: endpoint.name,
      subject: endpoint.subject,
      queue_group: endpoint.queue,
      num_requests: requests,
      num_errors: errors,
      last_error: lastError,
      processing_time: Math.round(spentNs),
      average_processing_time: requests === 0 ? 0 : Math.round(spentNs / requests),
    })),
  });
  const monitors = Object.entries({ PING: ping, INFO: info, STATS: stats }).flatMap(([verb, say]) =>
    [`$SRV.${verb}`, `$SRV.${verb}.${name}`, `$SRV.${verb}.${name}.${id}`].map((subject) =>
      connection.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) respond(message, JSON.stringify(say()));
        },
      }),
    ),
  );

  const serve = async (entry: Running, message: Msg): Promise<void> => {
    const sinceMs = now();
    const { text, headers: said, error } = await entry.endpoint.answer(message.data);
    entry.requests += 1;
    entry.spentNs += (now() - sinceMs) * 1e6;
    if (error !== undefined) {
      entry.errors += 1;
      entry.lastError = error.message;
    }
    respond(message, text, said, error?.message);
  };

  const respond = (message: Msg, text: string, said: ServiceAnswer['headers'] = {}, error?: string): void => {
    if (message.reply === undefined || message.reply === '') return;
    const fields = headers();
    for (const [name, values] of Object.entries(said)) for (const value of values) fields.append(name, value);
    if (error !== undefined) {
      fields.set('Nats-Service-Error', error.replace(/[^\x20-\x7e]/g, ' ').slice(0, 256));
      fields.set('Nats-Service-Error-Code', '400');
    }
    try {
      message.respond(text, fields.keys().length === 0 ? undefined : { headers: fields });
    } catch {
      // The connection is closing, or the reply subject is none: whoever asked has its own timeout.
    }
  };

  return Object.freeze({
    add(endpoint: ServiceEndpoint) {
      if (running.has(endpoint.name)) return;
      const subscription = connection.subscribe(endpoint.subject, {
        queue: endpoint.queue,
        callback: (error, message) => {
          if (error === null) void serve(entry, message);
        },
      });
      const entry: Running = { endpoint, subscription, requests: 0, errors: 0, lastError: '', spentNs: 0 };
      running.set(endpoint.name, entry);
    },
    remove(endpoint: string) {
      running.get(endpoint)?.subscription.unsubscribe();
      running.delete(endpoint);
    },
    stop() {
      for (const subscription of monitors) subscription.unsubscribe();
      for (const name of [...running.keys()]) this.remove(name);
    },
  });
}
