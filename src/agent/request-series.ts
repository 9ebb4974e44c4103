/**
 * Counts and durations of requests, by service. A request adds to plain numbers; what Prometheus wants to see is
 * put together when it asks. (The histogram of the client library takes 0.7 µs for each observation.)
 */
import { LIMITS } from '../protocol/limits.ts';

/** Upper bounds in seconds, from half a millisecond: a hop through the mesh takes less than one. */
const BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15];

interface Outcome {
  readonly status: number;
  readonly code: string;
  requests: number;
}

interface Durations {
  /** Requests up to each bound, and one more for those above all; not cumulative. */
  readonly counts: Float64Array;
  sumSeconds: number;
}

interface ServiceSeries {
  readonly answered: Map<number, Outcome>;
  readonly failed: Map<string, Outcome>;
  readonly durations: Durations;
  retries: number;
}

export class RequestSeries {
  readonly #services = new Map<string, ServiceSeries>();

  /** `status` 0: no response was made on this side. `code`: the error of ours, or ''. */
  add(service: string, status: number, code: string, durationMs: number): void {
    const { answered, failed, durations } = this.#series(service);
    const outcome = code === '' ? outcomeOf(answered, status, status, code) : failure(failed, status, code);
    outcome.requests += 1;
    const seconds = durationMs / 1000;
    let bucket = 0;
    while (bucket < BOUNDS.length && seconds > BOUNDS[bucket]!) bucket++;
    durations.counts[bucket]! += 1;
    durations.sumSeconds += seconds;
  }

  /** A request was sent once more. */
  retried(service: string): void {
    this.#series(service).retries += 1;
  }

  *retries(): Iterable<{ service: string; retries: number }> {
    for (const [service, { retries }] of this.#services) if (retries > 0) yield { service, retries };
  }

  *outcomes(): Iterable<{ service: string; outcome: Outcome }> {
    for (const [service, { answered, failed }] of this.#services) {
      for (const outcome of answered.values()) yield { service, outcome };
      for (const outcome of failed.values()) yield { service, outcome };
    }
  }

  /** The samples of a Prometheus histogram `name`, all with the label `side`. */
  *samples(name: string, side: string) {
    for (const [service, { durations }] of this.#services) {
      const labels = { side, service };
      let upTo = 0;
      for (const [bucket, count] of durations.counts.entries()) {
        upTo += count;
        yield {
          metricName: `${name}_bucket`,
          labels: { ...labels, le: BOUNDS[bucket] ?? '+Inf' },
          value: upTo,
        };
      }
      yield { metricName: `${name}_sum`, labels, value: durations.sumSeconds };
      yield { metricName: `${name}_count`, labels, value: upTo };
    }
  }

  /** Callers may ask for any name: beyond the limit they share one label. */
  #series(service: string): ServiceSeries {
    const known = this.#services.get(service);
    if (known !== undefined) return known;
    if (this.#services.size >= LIMITS.servicesInMetricsMax && service !== OTHER) return this.#series(OTHER);
    const fresh: ServiceSeries = {
      answered: new Map(),
      failed: new Map(),
      retries: 0,
      durations: { counts: new Float64Array(BOUNDS.length + 1), sumSeconds: 0 },
    };
    this.#services.set(service, fresh);
    return fresh;
  }
}

const OTHER = 'other';

function failure(failed: Map<string, Outcome>, status: number, code: string): Outcome {
  return outcomeOf(failed, `${status} ${code}`, status, code);
}

function outcomeOf<Key>(outcomes: Map<Key, Outcome>, key: Key, status: number, code: string): Outcome {
  let outcome = outcomes.get(key);
  if (outcome === undefined) {
    outcome = { status, code, requests: 0 };
    outcomes.set(key, outcome);
  }
  return outcome;
}
