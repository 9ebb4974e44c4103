/** What an agent counts, in a registry of its own. Names carry their unit; label sets are bounded. */
import Counter from 'prom-client/lib/counter.js';
import Gauge from 'prom-client/lib/gauge.js';
import Registry from 'prom-client/lib/registry.js';
import type { Decision } from '../protocol/authorization/decision.ts';
import type { PublicationKind } from '../protocol/subjects.ts';
import type { PublicationRefusal } from './control/publication-check.ts';
import { DecisionSeries } from './decision-series.ts';
import type { Refusal } from './link/refusal.ts';
import { RequestSeries } from './request-series.ts';
import type { Side } from './side.ts';

/** Where one side of the agent reports each request that has ended. */
export interface RequestRecorder {
  /** `service` is '' if it never became known; `status` 0: no response was made here; `code`: our error, or ''. */
  ended(service: string, status: number, code: string, durationMs: number): void;
  retried(service: string): void;
}

const DURATION = 'weft_request_duration_seconds';

export class AgentMetrics {
  readonly registry = new Registry();
  readonly #series: Record<Side, RequestSeries> = {
    outbound: new RequestSeries(),
    inbound: new RequestSeries(),
  };
  readonly #decisions = new DecisionSeries();
  readonly #refused: Counter<'reason'>;
  readonly #publicationsRefused: Counter<'kind' | 'reason'>;
  readonly #evidence: Counter<'result'>;

  constructor() {
    const registers = [this.registry];
    const sides = Object.entries(this.#series);
    new Counter({
      name: 'weft_requests_total',
      help: 'Requests that have ended, by side, service, status (0: none was made here) and error code',
      labelNames: ['side', 'service', 'status', 'error'] as const,
      registers,
      collect() {
        this.reset();
        for (const [side, series] of sides) {
          for (const { service, outcome } of series.outcomes()) {
            this.inc({ side, service, status: outcome.status, error: outcome.code }, outcome.requests);
          }
        }
      },
    });
    this.registry.registerMetric({
      name: DURATION,
      get: async () => ({
        name: DURATION,
        help: 'From the request head to the end of the response',
        type: 'histogram',
        aggregator: 'sum',
        values: sides.flatMap(([side, series]) => [...series.samples(DURATION, side)]),
      }),
    });
    new Counter({
      name: 'weft_retries_total',
      help: 'Requests that were sent again',
      labelNames: ['service'] as const,
      registers,
      collect() {
        this.reset();
        for (const [, series] of sides) {
          for (const { service, retries } of series.retries()) this.inc({ service }, retries);
        }
      },
    });
    const decisions = this.#decisions;
    new Counter({
      name: 'weft_authorization_total',
      help: 'What policies have decided, by side (outbound: refused early), action, policy, rule and revision',
      labelNames: ['side', 'service', 'action', 'policy', 'rule', 'revision'] as const,
      registers,
      collect() {
        this.reset();
        for (const { side, decision, requests } of decisions.counts())
          this.inc({ side, ...decision }, requests);
      },
    });
    this.#refused = new Counter({
      name: 'weft_packets_refused_total',
      help: 'Packets that were dropped before anything of them was acted on, by reason',
      labelNames: ['reason'] as const,
      registers,
    });
    this.#publicationsRefused = new Counter({
      name: 'weft_publications_refused_total',
      help: 'Snapshots and endpoint lists that were not taken, by reason; what is held stays',
      labelNames: ['kind', 'reason'] as const,
      registers,
    });
    this.#evidence = new Counter({
      name: 'weft_evidence_packets_total',
      help: 'Signed packets that were to be kept as evidence, by whether they were written or lost',
      labelNames: ['result'] as const,
      registers,
    });
  }

  recorder(side: Side): RequestRecorder {
    const series = this.#series[side];
    return {
      ended: (service, status, code, durationMs) => series.add(service, status, code, durationMs),
      retried: (service) => series.retried(service),
    };
  }

  decided(side: Side, decision: Decision): void {
    this.#decisions.add(side, decision);
  }

  packetRefused(reason: Refusal): void {
    this.#refused.inc({ reason });
  }

  evidence(result: 'written' | 'lost', packets: number): void {
    this.#evidence.inc({ result }, packets);
  }

  publicationRefused(kind: PublicationKind, reason: PublicationRefusal): void {
    this.#publicationsRefused.inc({ kind, reason });
  }

  /** Shows numbers that somebody else keeps, each with its value of `label`. */
  gauge(name: string, help: string, label: string, values: () => (readonly [string, number])[]): void {
    new Gauge({
      name,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect() {
        this.reset();
        for (const [labelValue, value] of values()) this.set({ [label]: labelValue }, value);
      },
    });
  }

  /** Shows a number that somebody else keeps. */
  number(name: string, help: string, value: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(value());
      },
    });
  }
}
