/** What a request is for: the authority says it. What is behind that name, and its routes, come with the control plane. */
import { BoundedMap } from '../../protocol/bounded-map.ts';
import { WeftError } from '../../protocol/errors.ts';
import { LIMITS } from '../../protocol/limits.ts';
import { nameOfAuthority } from '../../protocol/names.ts';

export class Router {
  readonly #namespace: string;
  readonly #known = new BoundedMap<string, string>(LIMITS.authoritiesMax);

  /** `namespace`: of the caller; it completes a name that has none. */
  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  /**
   * `orders:8080` → `orders.default`, and `orders.example.com` → itself: only an alias can make a service of it.
   * Throws WeftError('not_a_proxy_target').
   */
  nameOf(authority: string): string {
    const known = this.#known.get(authority);
    if (known !== undefined) return known;
    const name = nameOfAuthority(authority, this.#namespace);
    if (name === undefined) throw noService(authority);
    this.#known.set(authority, name);
    return name;
  }
}

/** What a request for something that is no service ends with. */
export function noService(authority: string): WeftError {
  return new WeftError(
    'not_a_proxy_target',
    `the authority ${JSON.stringify(authority.slice(0, 80))} names no service; expected <service>, <service>.<namespace> or an alias of a Service`,
  );
}
