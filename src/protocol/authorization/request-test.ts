import type { RequestMatch } from './authorization.ts';
import { headerTest } from './header-test.ts';
import { pathTest } from './path-pattern.ts';
import type { Subject } from './subject.ts';

/**
 * Whether a request fits one entry of `to`. A path that can be read in more than one way fits whatever is said of paths: who
 * decides by paths refuses it before (`Authorizer.decide`), and an AUDIT is better told of it.
 * @param strict of an ALLOW; to a DENY `post` is POST, as it is to some applications
 */
export function requestTest(match: RequestMatch, strict: boolean): (subject: Subject) => boolean {
  const methods = match.methods && new Set(match.methods);
  const notMethods = match.notMethods && new Set(match.notMethods);
  const ports = match.ports && new Set(match.ports);
  const paths = match.paths && pathTest(match.paths);
  const notPaths = match.notPaths && pathTest(match.notPaths);
  const headers = (match.headers ?? []).map((header) => headerTest(header, strict));
  return (subject) => {
    const { method } = subject.request;
    if (methods !== undefined && !methods.has(strict ? method : method.toUpperCase())) return false;
    // What is left out is left out as it is written; an ALLOW leaves out the other spellings too.
    if (notMethods?.has(strict ? method.toUpperCase() : method)) return false;
    if (ports !== undefined && !ports.has(subject.port)) return false;
    if (paths !== undefined || notPaths !== undefined) {
      const { path } = subject;
      if (path !== undefined && paths !== undefined && !paths.fits(path)) return false;
      if (path !== undefined && notPaths?.fits(path)) return false;
    }
    return headers.every((fits) => fits(subject));
  };
}
