/**
 * What a route may change in the header lines of a request or response. Whatever a route says, it cannot change
 * how the message is framed, where it goes, which way it has come, or who the mesh says that it comes from.
 */
import { isAuthority } from '../authority.ts';
import { type Fields, isToken, without } from '../fields.ts';
import { isHopByHop } from '../hop-by-hop.ts';
import { isForgedForwarding, isReservedField } from '../reserved-field.ts';
import type { HeaderModifier } from '../snapshot.ts';

/** Beside the fields of one hop and those of the mesh: framing, and `via`, by which loops are found. */
const FIXED: ReadonlySet<string> = new Set(['content-length', 'trailer', 'expect', 'via']);

/** RFC 9110 §5.5, as `parseFields` has it, without blanks around it. */
const VALUE = /^[!-~\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[!-~\x80-\xff])?$/;

/**
 * Other lines with the changes of `modifier`: first what is set, then what is added, then what is removed; the
 * schema lets no name stand in two of them. `set` takes the place of the first line of that name; `add` goes on
 * behind the last one's value with a comma (RFC 9110 §5.3), Set-Cookie as a line of its own. A change that may
 * not be is left out. Host can be set, to an authority, and nothing else.
 */
export function modifyFields(fields: Fields, modifier: HeaderModifier): Fields {
  let modified = fields.slice();
  for (const [name, value] of modifier.set) {
    if (mayChange(name) ? VALUE.test(value) : name === 'host' && isAuthority(value))
      set(modified, name, value);
  }
  for (const [name, value] of modifier.add) {
    if (mayChange(name) && VALUE.test(value)) add(modified, name, value);
  }
  for (const name of modifier.remove) {
    if (mayChange(name)) modified = without(modified, (other) => other === name);
  }
  return modified;
}

/** True for the names of lines that a route may set, add and remove. */
export function mayChange(name: string): boolean {
  return (
    name !== 'host' &&
    !FIXED.has(name) &&
    !isHopByHop(name) &&
    !isReservedField(name) &&
    !isForgedForwarding(name) &&
    isToken(name) &&
    name === name.toLowerCase()
  );
}

function set(fields: Fields, name: string, value: string): void {
  let kept = 0;
  let found = false;
  for (let at = 0; at < fields.length; at += 2) {
    const same = fields[at] === name;
    if (same && found) continue;
    fields[kept] = fields[at]!;
    fields[kept + 1] = same ? value : fields[at + 1]!;
    found ||= same;
    kept += 2;
  }
  fields.length = kept;
  if (!found) fields.push(name, value);
}

function add(fields: Fields, name: string, value: string): void {
  const last = name === 'set-cookie' ? -1 : fields.findLastIndex((text, at) => at % 2 === 0 && text === name);
  if (last < 0) fields.push(name, value);
  else if (fields[last + 1] === '') fields[last + 1] = value;
  else fields[last + 1] += `${name === 'cookie' ? '; ' : ','}${value}`;
}
