/** What the controller counts, in a registry of its own. */
import { Counter, Gauge, Registry } from 'prom-client';
import type { PublicationKind } from '../protocol/subjects.ts';
import type { Denial } from './api/call-guard.ts';
import type { Fleet } from './fleet.ts';

export type ControllerMetrics = ReturnType<typeof createControllerMetrics>;

export function createControllerMetrics() {
  const registry = new Registry();
  const registers = [registry];
  const beats = new Counter({
    name: 'weft_controller_heartbeats_total',
    help: 'Heartbeats of agents, by what became of them',
    labelNames: ['result'] as const,
    registers,
  });
  const publications = new Counter({
    name: 'weft_controller_publications_total',
    help: 'Snapshots and endpoint lists that were published',
    labelNames: ['kind'] as const,
    registers,
  });
  const calls = new Counter({
    name: 'weft_controller_calls_total',
    help: 'Calls of the API, by verb and result (ok, or the code of the error)',
    labelNames: ['verb', 'result'] as const,
    registers,
  });
  const failures = new Counter({
    name: 'weft_controller_failures_total',
    help: 'Writes and reads of the buckets that failed, and ended a term of leading',
    registers,
  });
  const tampered = new Counter({
    name: 'weft_controller_tampered_total',
    help: 'Entries of the buckets that somebody else had written, and that were put right, by bucket',
    labelNames: ['bucket'] as const,
    registers,
  });
  const refusals = new Counter({
    name: 'weft_controller_grants_refused_total',
    help: 'Joins and renewals of agents that were refused, by verb',
    labelNames: ['verb'] as const,
    registers,
  });
  const denials = new Counter({
    name: 'weft_controller_denials_total',
    help: 'Calls that were denied, by reason: call (not signed, or not for now), repeated, revoked, role',
    labelNames: ['reason'] as const,
    registers,
  });
  const audited = new Counter({
    name: 'weft_controller_audit_entries_total',
    help: 'Audit entries by what became of them: written, lost; failed is a try that comes again',
    labelNames: ['result'] as const,
    registers,
  });
  return Object.freeze({
    registry,
    denied: (reason: Denial) => denials.inc({ reason }),
    audited: (result: 'written' | 'lost' | 'failed') => audited.inc({ result }),
    grantRefused: (verb: 'join' | 'renew') => refusals.inc({ verb }),
    tampered: (bucket: string) => tampered.inc({ bucket }),
    beat: (result: 'taken' | 'old' | 'refused' | 'dropped') => beats.inc({ result }),
    published: (kind: PublicationKind) => publications.inc({ kind }),
    called: (verb: string, result: string) => calls.inc({ verb, result }),
    failed: () => failures.inc(),
    watch(fleet: Fleet, leading: () => boolean, auditWaiting: () => number) {
      new Gauge({
        name: 'weft_controller_audit_waiting',
        help: 'Audit entries that the stream has not taken yet',
        registers,
        collect() {
          this.set(auditWaiting());
        },
      });
      new Gauge({
        name: 'weft_controller_leading',
        help: '1 if this controller leads',
        registers,
        collect() {
          this.set(leading() ? 1 : 0);
        },
      });
      new Gauge({
        name: 'weft_controller_agents',
        help: 'Agents, by state',
        labelNames: ['state'] as const,
        registers,
        collect() {
          this.reset();
          for (const state of ['connected', 'lost', 'left'] as const) this.set({ state }, 0);
          for (const { state } of fleet.agents.values()) this.inc({ state });
        },
      });
      new Gauge({
        name: 'weft_controller_services',
        help: 'Services that are known',
        registers,
        collect() {
          this.set(fleet.services.size);
        },
      });
    },
  });
}
