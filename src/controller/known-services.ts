/**
 * Services that agents serve, or have served lately. A service that is down is still one: its routes keep it as a backend,
 * and only after a day of silence is it forgotten.
 */
import { CONTROLLER_LIMITS } from './limits.ts';

/** @param wallMs wall clock: what is known outlives this process. */
export function createKnownServices(wallMs: () => number) {
  const seenMs = new Map<string, number>();
  const names = new Set<string>();
  return Object.freeze({
    names: names as ReadonlySet<string>,
    /** @returns true if it was not known. */
    see(service: string): boolean {
      const isNew = !seenMs.has(service);
      if (isNew && seenMs.size >= CONTROLLER_LIMITS.servicesMax) return false;
      seenMs.set(service, wallMs());
      names.add(service);
      return isNew;
    },
    /** Forgets what was not seen for long. @returns the names. */
    forget(): string[] {
      const oldest = wallMs() - CONTROLLER_LIMITS.serviceForgottenMs;
      const gone = [...seenMs].filter(([, at]) => at < oldest).map(([service]) => service);
      for (const service of gone) {
        seenMs.delete(service);
        names.delete(service);
      }
      return gone;
    },
    entries: (): [service: string, seenMs: number][] => [...seenMs],
    restore(service: string, at: number): void {
      if (seenMs.size >= CONTROLLER_LIMITS.servicesMax) return;
      seenMs.set(service, Math.max(at, seenMs.get(service) ?? 0));
      names.add(service);
    },
  });
}
