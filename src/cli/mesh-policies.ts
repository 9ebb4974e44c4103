import { applyManifests } from './apply.ts';
import { eachOnce, faultsError, type Manifests, readManifests } from './manifests.ts';
import { type OwnMesh, withOwnMesh } from './own-mesh.ts';

/**
 * Reads the `policies` of a mesh.yaml; undefined if it names none.
 * @throws ConfigError with everything that is wrong in them, UsageError if one cannot be read
 */
export async function readPolicies(paths: readonly string[]): Promise<Manifests | undefined> {
  if (paths.length === 0) return undefined;
  const manifests = eachOnce(await readManifests(paths));
  if (manifests.faults.length > 0) throw faultsError(manifests, manifests.faults);
  return manifests;
}

/**
 * Has the controller that leads apply them, all or none.
 * @returns its warnings. @throws ConfigError with the place of each fault, Error if it refuses for another reason
 */
export function applyPolicies(manifests: Manifests, mesh: OwnMesh): Promise<readonly string[]> {
  return withOwnMesh(mesh, async (api) => {
    return (await applyManifests(manifests, false, (request) => api.call('apply', request))).warnings;
  });
}
