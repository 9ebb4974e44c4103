/**
 * Reads a regular expression in the syntax of RE2, without what can only be found by trying again and again:
 * back-references and look-around are no part of it. Not taken either: Unicode classes, `\Q…\E`.
 *
 *   alternation ─▶ sequence ─▶ repetition ─▶ atom: character · class · group · assertion
 */

export type Assertion = 'start' | 'end' | 'word' | 'notWord';

export type PatternNode =
  /** Pairs of first and last code unit, both of them in it. */
  | { readonly type: 'set'; readonly ranges: readonly number[] }
  | { readonly type: 'assertion'; readonly what: Assertion }
  | { readonly type: 'sequence'; readonly parts: readonly PatternNode[] }
  | { readonly type: 'choice'; readonly parts: readonly PatternNode[] }
  | { readonly type: 'repeat'; readonly part: PatternNode; readonly min: number; readonly max: number };

/** Why a text is no pattern, in words. */
export class PatternError extends Error {}

/** RE2's own bound for the numbers in braces. */
const REPEAT_MAX = 1_000;
const DEPTH_MAX = 50;
const UNIT_MAX = 0xffff;

const DIGIT = [0x30, 0x39];
const SPACE = [0x09, 0x0a, 0x0c, 0x0d, 0x20, 0x20];
const WORD = [0x30, 0x39, 0x41, 0x5a, 0x5f, 0x5f, 0x61, 0x7a];
const ANY = [0, 0x09, 0x0b, UNIT_MAX];
const EVERY = [0, UNIT_MAX];

const POSIX: Readonly<Record<string, readonly number[]>> = {
  alnum: [0x30, 0x39, 0x41, 0x5a, 0x61, 0x7a],
  alpha: [0x41, 0x5a, 0x61, 0x7a],
  digit: DIGIT,
  lower: [0x61, 0x7a],
  punct: [0x21, 0x2f, 0x3a, 0x40, 0x5b, 0x60, 0x7b, 0x7e],
  space: [0x09, 0x0d, 0x20, 0x20],
  upper: [0x41, 0x5a],
  word: WORD,
  xdigit: [0x30, 0x39, 0x41, 0x46, 0x61, 0x66],
};

const CONTROL: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 };

/** Throws PatternError. */
export function parsePattern(text: string): PatternNode {
  return new Reader(text).pattern();
}

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #folding = false;
  #dotAll = false;

  constructor(text: string) {
    this.#text = text;
  }

  pattern(): PatternNode {
    const node = this.#choice();
    if (this.#at < this.#text.length) throw this.#fault('a ) without its (');
    return node;
  }

  #choice(): PatternNode {
    const parts = [this.#sequence()];
    while (this.#take('|')) parts.push(this.#sequence());
    return parts.length === 1 ? parts[0]! : { type: 'choice', parts };
  }

  #sequence(): PatternNode {
    const parts: PatternNode[] = [];
    while (this.#at < this.#text.length && !this.#sees('|') && !this.#sees(')'))
      parts.push(this.#repetition());
    return { type: 'sequence', parts };
  }

  #repetition(): PatternNode {
    const part = this.#atom();
    const counts = this.#counts();
    if (counts === undefined) return part;
    // Greedy or not: it makes no difference to whether the whole text fits.
    this.#take('?');
    if (this.#counts() !== undefined) throw this.#fault('a repetition of a repetition');
    return { type: 'repeat', part, min: counts[0], max: counts[1] };
  }

  #counts(): readonly [min: number, max: number] | undefined {
    if (this.#take('*')) return [0, Number.POSITIVE_INFINITY];
    if (this.#take('+')) return [1, Number.POSITIVE_INFINITY];
    if (this.#take('?')) return [0, 1];
    const braces = /\{([0-9]{1,4})(?:(,)([0-9]{1,4})?)?\}/y;
    braces.lastIndex = this.#at;
    const found = braces.exec(this.#text);
    if (found === null) return undefined;
    this.#at = braces.lastIndex;
    const min = Number(found[1]);
    const most = found[2] === undefined ? min : Number.POSITIVE_INFINITY;
    const max = found[3] === undefined ? most : Number(found[3]);
    if (min > REPEAT_MAX || (max !== Number.POSITIVE_INFINITY && max > REPEAT_MAX) || min > max) {
      throw this.#fault(`a repetition that is not up to ${REPEAT_MAX} times, least first`);
    }
    return [min, max];
  }

  #atom(): PatternNode {
    const char = this.#text[this.#at++] as string;
    switch (char) {
      case '(':
        return this.#group();
      case '[':
        return { type: 'set', ranges: this.#class() };
      case '.':
        return { type: 'set', ranges: this.#dotAll ? EVERY : ANY };
      case '^':
        return { type: 'assertion', what: 'start' };
      case '$':
        return { type: 'assertion', what: 'end' };
      case '\\':
        return this.#escape();
      case '*':
      case '+':
      case '?':
        throw this.#fault(`a ${char} with nothing to repeat`);
      default:
        return this.#character(char.charCodeAt(0));
    }
  }

  #group(): PatternNode {
    if (++this.#depth > DEPTH_MAX) throw this.#fault(`groups over ${DEPTH_MAX} deep`);
    const { 0: folding, 1: dotAll } = [this.#folding, this.#dotAll];
    if (this.#take('?')) {
      const opening = /(?:P?<[A-Za-z_]\w*>|([imsU]*)(?:-([imsU]+))?(:|\)))/y;
      opening.lastIndex = this.#at;
      const found = opening.exec(this.#text);
      if (found === null) throw this.#fault('a group of a kind that RE2 does not have');
      this.#at = opening.lastIndex;
      this.#flags(found[1] ?? '', true);
      this.#flags(found[2] ?? '', false);
      if (found[3] === ')') {
        // It holds for the rest of the group that it stands in.
        this.#depth -= 1;
        return { type: 'sequence', parts: [] };
      }
    }
    const node = this.#choice();
    if (!this.#take(')')) throw this.#fault('a ( without its )');
    this.#depth -= 1;
    this.#folding = folding as boolean;
    this.#dotAll = dotAll as boolean;
    return node;
  }

  /** `m` and `U` change nothing for a text without line ends that has to fit as a whole. */
  #flags(letters: string, on: boolean): void {
    if (letters.includes('i')) this.#folding = on;
    if (letters.includes('s')) this.#dotAll = on;
  }

  #escape(): PatternNode {
    const char = this.#text[this.#at];
    switch (char) {
      case 'b':
      case 'B':
        this.#at += 1;
        return { type: 'assertion', what: char === 'b' ? 'word' : 'notWord' };
      case 'A':
      case 'z':
        this.#at += 1;
        return { type: 'assertion', what: char === 'A' ? 'start' : 'end' };
      default: {
        const ranges = this.#escaped();
        return { type: 'set', ranges: this.#folding ? folded(ranges) : ranges };
      }
    }
  }

  /** What stands behind a backslash, in or out of brackets. */
  #escaped(): readonly number[] {
    const char = this.#text[this.#at++];
    if (char === undefined) throw this.#fault('a \\ at the end');
    const classes: Readonly<Record<string, readonly number[]>> = { d: DIGIT, s: SPACE, w: WORD };
    const ranges = classes[char] ?? classes[char.toLowerCase()];
    if (ranges !== undefined) return char in classes ? ranges : negated(ranges);
    const control = CONTROL[char];
    if (control !== undefined) return [control, control];
    if (char === 'x') {
      const hex = /(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,4})\})/y;
      hex.lastIndex = this.#at;
      const found = hex.exec(this.#text);
      if (found === null) throw this.#fault('a \\x without its two digits');
      this.#at = hex.lastIndex;
      const unit = Number.parseInt(found[1] ?? (found[2] as string), 16);
      return [unit, unit];
    }
    if (/[0-9A-Za-z]/.test(char)) throw this.#fault(`\\${char}, which is not taken here`);
    return [char.charCodeAt(0), char.charCodeAt(0)];
  }

  #class(): readonly number[] {
    const negative = this.#take('^');
    const ranges: number[] = [];
    // A ] that comes first is one of the characters.
    for (let first = true; first || !this.#sees(']'); first = false) {
      if (this.#at >= this.#text.length) throw this.#fault('a [ without its ]');
      const from = this.#classItem();
      if (from.length !== 2 || from[0] !== from[1] || !this.#sees('-') || this.#text[this.#at + 1] === ']') {
        ranges.push(...from);
        continue;
      }
      this.#at += 1;
      const to = this.#classItem();
      if (to.length !== 2 || to[0] !== to[1] || to[0]! < from[0]!)
        throw this.#fault('a range that ends before it starts');
      ranges.push(from[0]!, to[0]!);
    }
    this.#at += 1;
    const all = this.#folding ? folded(ranges) : ranges;
    return negative ? negated(all) : all;
  }

  #classItem(): readonly number[] {
    const posix = /\[:(\^?)([a-z]+):\]/y;
    posix.lastIndex = this.#at;
    const found = posix.exec(this.#text);
    if (found !== null) {
      const ranges = Object.hasOwn(POSIX, found[2]!) ? POSIX[found[2]!] : undefined;
      if (ranges === undefined) throw this.#fault(`the class ${found[2]}, which is not known`);
      this.#at = posix.lastIndex;
      return found[1] === '^' ? negated(ranges) : ranges;
    }
    const char = this.#text[this.#at++];
    if (char === undefined) throw this.#fault('a [ without its ]');
    return char === '\\' ? this.#escaped() : [char.charCodeAt(0), char.charCodeAt(0)];
  }

  #character(unit: number): PatternNode {
    return { type: 'set', ranges: this.#folding ? folded([unit, unit]) : [unit, unit] };
  }

  #sees(char: string): boolean {
    return this.#text[this.#at] === char;
  }

  #take(char: string): boolean {
    if (!this.#sees(char)) return false;
    this.#at += 1;
    return true;
  }

  #fault(what: string): PatternError {
    return new PatternError(`${what}, at character ${Math.min(this.#at, this.#text.length)}`);
  }
}

/** The ranges with the ASCII letters of the other case. */
function folded(ranges: readonly number[]): readonly number[] {
  const all = [...ranges];
  for (let at = 0; at < ranges.length; at += 2) {
    for (const [first, last, shift] of [
      [0x41, 0x5a, 0x20],
      [0x61, 0x7a, -0x20],
    ] as const) {
      const from = Math.max(first, ranges[at]!);
      const to = Math.min(last, ranges[at + 1]!);
      if (from <= to) all.push(from + shift, to + shift);
    }
  }
  return all;
}

function negated(ranges: readonly number[]): readonly number[] {
  const pairs: [number, number][] = [];
  for (let at = 0; at < ranges.length; at += 2) pairs.push([ranges[at]!, ranges[at + 1]!]);
  pairs.sort((a, b) => a[0] - b[0]);
  const others: number[] = [];
  let next = 0;
  for (const [first, last] of pairs) {
    if (first > next) others.push(next, first - 1);
    next = Math.max(next, last + 1);
  }
  if (next <= UNIT_MAX) others.push(next, UNIT_MAX);
  return others;
}
