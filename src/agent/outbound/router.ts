/** Which service a request is for: the authority says it. Routes come with the control plane. */
import { BoundedMap } from '../../protocol/bounded-map.ts';
import { WeftError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { serviceOfAuthority } from '../../protocol/names.ts';

export class Router {
  readonly #namespace: string;
  readonly #known = new BoundedMap<string, string>(LIMITS.authoritiesMax);

  /** `namespace`: of the caller; it completes a name that has none. */
  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  /** `orders:8080` → `orders.default`. Throws WeftError('not_a_proxy_target'). */
  serviceOf(authority: string): string {
    const known = this.#known.get(authority);
    if (known !== undefined) return known;
    const service = serviceOfAuthority(authority, this.#namespace);
    if (service === undefined) {
      throw new WeftError(
        'not_a_proxy_target',
        `the authority ${JSON.stringify(authority.slice(0, 80))} names no service; expected <service> or <service>.<namespace>`,
      );
    }
    this.#known.set(authority, service);
    return service;
  }
}
