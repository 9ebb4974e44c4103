/**
 * Who may reach a service at all, whatever policies say of who may do what there. Both sides ask the same function: the
 * outbound side to refuse early, the inbound side because its answer is the one that counts.
 */
import { serviceParts } from './names.ts';

/** `mesh`: every workload; `namespace`: those of the service's own namespace. */
export type Exposure = 'mesh' | 'namespace';

/**
 * Why a caller may not reach a service; undefined if it may. Words for the caller and for logs.
 * @param callerNamespace undefined: it is not known who calls, and then only the whole mesh will do
 */
export function exposureRefusal(
  service: string,
  exposure: Exposure | undefined,
  callerNamespace: string | undefined,
): string | undefined {
  if (exposure !== 'namespace') return undefined;
  const { namespace } = serviceParts(service);
  if (callerNamespace === namespace) return undefined;
  const caller =
    callerNamespace === undefined ? 'who calls is not known' : `the caller is of ${callerNamespace}`;
  return `${service} has exposure: namespace, which lets callers of namespace ${namespace} in only, and ${caller}`;
}
