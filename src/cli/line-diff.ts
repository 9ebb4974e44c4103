/** A unified diff of two texts, line by line; '' if they are the same. */
const CONTEXT = 3;
/** Cells of the table of common subsequences, 4 bytes each; beyond that the middle counts as changed as a whole. */
const CELLS_MAX = 4_000_000;

interface Line {
  readonly mark: ' ' | '-' | '+';
  readonly text: string;
}

export function unifiedDiff(before: string, after: string, names: readonly [string, string]): string {
  if (before === after) return '';
  const lines = diffLines(linesOf(before), linesOf(after));
  return `--- ${names[0]}\n+++ ${names[1]}\n${hunks(lines).join('')}`;
}

function linesOf(text: string): string[] {
  if (text === '') return [];
  return text.replace(/\n$/, '').split('\n');
}

/** By a longest common subsequence, after what is the same at both ends. */
function diffLines(a: readonly string[], b: readonly string[]): Line[] {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const same = (texts: readonly string[]): Line[] => texts.map((text) => ({ mark: ' ', text }));
  return [
    ...same(a.slice(0, head)),
    ...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...same(a.slice(a.length - tail)),
  ];
}

function middle(a: readonly string[], b: readonly string[]): Line[] {
  const width = b.length + 1;
  if (a.length * b.length > CELLS_MAX) {
    return [...a.map((text) => line('-', text)), ...b.map((text) => line('+', text))];
  }
  // lengths[i * width + j]: of the longest common subsequence of a from i on and b from j on.
  const lengths = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        a[i] === b[j]
          ? lengths[(i + 1) * width + j + 1]! + 1
          : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!);
    }
  }
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const down = i < a.length ? lengths[(i + 1) * width + j]! : -1;
    const right = j < b.length ? lengths[i * width + j + 1]! : -1;
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push(line(' ', a[i++]!));
      j++;
    } else if (down >= right) lines.push(line('-', a[i++]!));
    else lines.push(line('+', b[j++]!));
  }
  return lines;
}

function line(mark: Line['mark'], text: string): Line {
  return { mark, text };
}

/** Changes with the lines around them; those whose surroundings meet stand together. */
function hunks(lines: readonly Line[]): string[] {
  const texts: string[] = [];
  let [before, after] = [1, 1];
  for (let at = 0; at < lines.length; ) {
    const first = lines.findIndex(({ mark }, index) => index >= at && mark !== ' ');
    if (first < 0) break;
    const from = Math.max(at, first - CONTEXT);
    let last = first;
    for (let index = first; index < lines.length && index - last <= 2 * CONTEXT; index++) {
      if (lines[index]!.mark !== ' ') last = index;
    }
    const to = Math.min(lines.length, last + CONTEXT + 1);
    [before, after] = [before + from - at, after + from - at];
    const hunk = lines.slice(from, to);
    const old = hunk.filter(({ mark }) => mark !== '+').length;
    const fresh = hunk.filter(({ mark }) => mark !== '-').length;
    const body = hunk.map(({ mark, text }) => `${mark}${text}\n`).join('');
    texts.push(`@@ -${range(before, old)} +${range(after, fresh)} @@\n${body}`);
    [before, after, at] = [before + old, after + fresh, to];
  }
  return texts;
}

/** Of no lines the line before them is named, as diff does it. */
function range(start: number, count: number): string {
  if (count === 0) return `${start - 1},0`;
  return count === 1 ? String(start) : `${start},${count}`;
}
