/**
 * Regular expressions of routes. Whoever sends a request chooses the text that they run over, so they may not be
 * run by backtracking, which some texts make take for ever: all ways through the pattern are followed at once
 * (Thompson), which takes at most steps of the pattern × characters of the text. Therefore the syntax is RE2's.
 *
 * A pattern has to fit the whole text, as if it stood in ^(?:…)$.
 */
import { WeftError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { type Assertion, PatternError, type PatternNode, parsePattern } from './pattern-syntax.ts';

/** What the patterns that one request is compared with may still cost together. */
export interface PatternWork {
  stepsLeft: number;
}

/**
 * True if the whole text fits. What it costs is taken out of `work`.
 * @throws WeftError `match_too_costly`
 */
export type Pattern = (text: string, work: PatternWork) => boolean;

/** `next` goes on; a fork goes on at both ends; what none of them is has arrived. */
interface Step {
  readonly ranges: readonly number[] | undefined;
  readonly assertion: Assertion | undefined;
  next: number;
  also: number;
}

const NOWHERE = -1;
const TOO_LARGE = 'too large with its repetitions';

/** Throws PatternError: what is wrong with it, in words, or that it is too large. */
export function compilePattern(text: string): Pattern {
  if (text.length > LIMITS.patternCharactersMax) {
    throw new PatternError(`over ${LIMITS.patternCharactersMax} characters`);
  }
  const program = new Program(parsePattern(text));
  return (subject, work) => program.fits(subject, work);
}

class Program {
  readonly #steps: Step[] = [];
  readonly #start: number;
  readonly #end: number;
  /** The steps that the text up to here may have led to, and for each step the turn in which it was reached last. */
  #current: number[] = [];
  #following: number[] = [];
  readonly #seen: Uint32Array;
  #turn = 0;
  /** Steps reached in this turn. */
  #reached = 0;
  #built = 0;

  constructor(pattern: PatternNode) {
    this.#end = this.#step(undefined, undefined, NOWHERE);
    this.#start = this.#build(pattern, this.#end);
    this.#seen = new Uint32Array(this.#steps.length);
  }

  fits(text: string, work: PatternWork): boolean {
    // Each character may cost all steps, and the caller chooses how many there are.
    if (text.length > LIMITS.patternTextMax) return false;
    this.#seen.fill(0);
    this.#turn = 1;
    this.#reached = 0;
    this.#current.length = 0;
    this.#reach(this.#start, this.#current, text, 0);
    for (let at = 0; at < text.length; at++) {
      if (this.#current.length === 0) return false;
      const unit = text.charCodeAt(at);
      spend(work, this.#current.length + this.#reached);
      this.#turn += 1;
      this.#reached = 0;
      this.#following.length = 0;
      for (const index of this.#current) {
        const { ranges, next } = this.#steps[index]!;
        if (ranges !== undefined && holds(ranges, unit)) this.#reach(next, this.#following, text, at + 1);
      }
      [this.#current, this.#following] = [this.#following, this.#current];
    }
    return this.#seen[this.#end] === this.#turn;
  }

  /** Adds a step, and those that it leads to without a character. */
  #reach(start: number, reached: number[], text: string, at: number): void {
    const open = [start];
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      if (index === NOWHERE || this.#seen[index] === this.#turn) continue;
      this.#seen[index] = this.#turn;
      this.#reached += 1;
      const { ranges, assertion, next, also } = this.#steps[index]!;
      if (ranges !== undefined) reached.push(index);
      else if (assertion === undefined || isTrue(assertion, text, at)) open.push(also, next);
    }
  }

  /** Adds the steps of `node` in front of the step `next`; returns the first of them. */
  #build(node: PatternNode, next: number): number {
    // What is empty makes no step, however often it is repeated, but costs time.
    if (++this.#built > 4 * LIMITS.patternStepsMax) throw new PatternError(TOO_LARGE);
    switch (node.type) {
      case 'set':
        return this.#step(node.ranges, undefined, next);
      case 'assertion':
        return this.#step(undefined, node.what, next);
      case 'sequence':
        return node.parts.reduceRight((behind, part) => this.#build(part, behind), next);
      case 'choice': {
        const starts = node.parts.map((part) => this.#build(part, next));
        return starts.reduceRight((other, start) => this.#step(undefined, undefined, start, other));
      }
      case 'repeat':
        return this.#repeat(node, next);
    }
  }

  #repeat({ part, min, max }: Extract<PatternNode, { type: 'repeat' }>, next: number): number {
    let start = next;
    if (max === Number.POSITIVE_INFINITY) {
      const fork = this.#step(undefined, undefined, NOWHERE, next);
      this.#steps[fork]!.next = this.#build(part, fork);
      start = fork;
    } else {
      for (let count = min; count < max; count++) {
        start = this.#step(undefined, undefined, this.#build(part, start), next);
      }
    }
    for (let count = 0; count < min; count++) start = this.#build(part, start);
    return start;
  }

  #step(
    ranges: readonly number[] | undefined,
    assertion: Assertion | undefined,
    next: number,
    also = NOWHERE,
  ): number {
    if (this.#steps.length >= LIMITS.patternStepsMax) throw new PatternError(TOO_LARGE);
    return this.#steps.push({ ranges, assertion, next, also }) - 1;
  }
}

function spend(work: PatternWork, steps: number): void {
  work.stepsLeft -= steps;
  if (work.stepsLeft >= 0) return;
  throw new WeftError(
    'match_too_costly',
    `comparing the request with regular expressions of routes takes over ${LIMITS.patternWorkMax} steps`,
  );
}

function holds(ranges: readonly number[], unit: number): boolean {
  for (let at = 0; at < ranges.length; at += 2) {
    if (unit >= ranges[at]! && unit <= ranges[at + 1]!) return true;
  }
  return false;
}

function isTrue(assertion: Assertion, text: string, at: number): boolean {
  if (assertion === 'start') return at === 0;
  if (assertion === 'end') return at === text.length;
  return (isWord(text.charCodeAt(at - 1)) !== isWord(text.charCodeAt(at))) === (assertion === 'word');
}

/** NaN, beyond the text, is none. */
function isWord(unit: number): boolean {
  return (
    (unit >= 0x61 && unit <= 0x7a) ||
    (unit >= 0x30 && unit <= 0x39) ||
    (unit >= 0x41 && unit <= 0x5a) ||
    unit === 0x5f
  );
}
