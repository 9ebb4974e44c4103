import type { Fields } from '../fields.ts';
import type { HeaderMatch } from './authorization.ts';
import type { Subject } from './subject.ts';

/**
 * Whether the header lines of one name fit. Of several lines it depends on the application which of them it believes.
 * @param strict of an ALLOW, which fits if all lines do; a DENY fits if one of them does, or their values joined (RFC 9110 §5.3)
 */
export function headerTest(match: HeaderMatch, strict: boolean): (subject: Subject) => boolean {
  const { name, present } = match;
  const values = match.values && new Set(match.values);
  const notValues = match.notValues && new Set(match.notValues);
  const fits = (value: string) =>
    (values === undefined || values.has(value)) && (notValues === undefined || !notValues.has(value));
  return ({ request }) => {
    const lines = linesOf(request.fields, name);
    if (present !== undefined && present !== lines.length > 0) return false;
    if (lines.length === 0) return values === undefined;
    if (strict) return lines.every(fits);
    return lines.some(fits) || (lines.length > 1 && fits(lines.join(',')));
  };
}

function linesOf(fields: Fields, name: string): string[] {
  const lines: string[] = [];
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) lines.push(fields[at + 1]!);
  return lines;
}
