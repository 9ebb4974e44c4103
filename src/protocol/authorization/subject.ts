/** A request as policies see it: as the application will, after what routes do to it. What is asked for is found once. */
import { splitAuthority } from '../authority.ts';
import { WeftError } from '../errors.ts';
import { type Fields, fieldValue } from '../fields.ts';
import { serviceParts, workloadId } from '../names.ts';
import { type NormalPath, normalisePath } from './normal-path.ts';
import { ComparedPath } from './path-pattern.ts';

export interface AuthorizedRequest {
  /** The workload that asks: `checkout.default`; undefined if it is anonymous. */
  readonly caller: string | undefined;
  readonly method: string;
  /** Path and query, or `*` for OPTIONS. */
  readonly target: string;
  readonly fields: Fields;
}

export class Subject {
  readonly request: AuthorizedRequest;
  readonly #mesh: string;
  #principal: string | undefined;
  #port: number | undefined;
  #normal: NormalPath | WeftError | undefined;
  #path: ComparedPath | undefined;

  constructor(mesh: string, request: AuthorizedRequest) {
    this.#mesh = mesh;
    this.request = request;
  }

  /** SPIFFE ID of the caller; undefined if it is anonymous. */
  get principal(): string | undefined {
    const { caller } = this.request;
    if (caller !== undefined) this.#principal ??= workloadId(this.#mesh, caller);
    return this.#principal;
  }

  get namespace(): string | undefined {
    const { caller } = this.request;
    return caller === undefined ? undefined : serviceParts(caller).namespace;
  }

  get port(): number {
    this.#port ??= splitAuthority(fieldValue(this.request.fields, 'host') ?? '').port;
    return this.#port;
  }

  /** The path to compare with; undefined if it can be read in more than one way. */
  get path(): ComparedPath | undefined {
    const normal = this.#normalised();
    if (normal instanceof WeftError) return undefined;
    this.#path ??= new ComparedPath(normal.text);
    return this.#path;
  }

  /** The target with its path in normal form. @throws WeftError `ambiguous_path` */
  normalTarget(): string {
    const normal = this.#normalised();
    if (normal instanceof WeftError) throw normal;
    const { target } = this.request;
    const queryAt = target.indexOf('?');
    return queryAt < 0 ? normal.sent : normal.sent + target.slice(queryAt);
  }

  #normalised(): NormalPath | WeftError {
    if (this.#normal !== undefined) return this.#normal;
    const { target } = this.request;
    const queryAt = target.indexOf('?');
    try {
      this.#normal = normalisePath(queryAt < 0 ? target : target.slice(0, queryAt));
    } catch (error) {
      if (!(error instanceof WeftError)) throw error;
      this.#normal = error;
    }
    return this.#normal;
  }
}
