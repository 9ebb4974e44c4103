/**
 * @typedef {{ uri: string, suites: string[], components: string[], options: string[] }} Source
 * One package source of apt; `options` as they stand in a one-line source (`signed-by=…`).
 */

/** Debian's suites that carry a nats-server that is new enough, the most settled first. */
const SUITES = ['trixie', 'forky', 'sid'];
const OTHER_SUITES = ['bookworm', 'bullseye', 'oldstable', 'stable', 'testing', 'unstable'];

/**
 * The sources named in a one-line file, `/etc/apt/sources.list` or `*.list` (sources.list(5)).
 * @param {string} text @returns {Source[]}
 */
export function readListFile(text) {
  const sources = [];
  for (const line of text.split('\n')) {
    const found = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line);
    if (found === null) continue;
    const [, options = '', uri = '', suite = '', components = ''] = found;
    sources.push({
      uri,
      suites: [suite],
      components: words(components),
      options: words(options).filter(isKept),
    });
  }
  return sources;
}

/**
 * The sources named in a deb822 file, `*.sources` (sources.list(5), DEB822-STYLE FORMAT).
 * @param {string} text @returns {Source[]}
 */
export function readSourcesFile(text) {
  return text.split(/\n[ \t]*\n/).flatMap((stanza) => {
    const fields = readFields(stanza);
    const isUsed =
      words(fields.get('types') ?? '').includes('deb') && !/^no$/i.test(fields.get('enabled') ?? '');
    if (!isUsed) return [];
    const signedBy = (fields.get('signed-by') ?? '').trim();
    // A key can also stand in the file itself, over several lines; apt's own trusted keys have to do then.
    const options = signedBy.startsWith('/') ? [`signed-by=${words(signedBy)[0]}`] : [];
    const suites = words(fields.get('suites') ?? '');
    const components = words(fields.get('components') ?? '');
    return words(fields.get('uris') ?? '').map((uri) => ({ uri, suites, components, options }));
  });
}

/**
 * One-line sources to try, in this order: the machine's own Debian mirror with suites that carry a nats-server
 * that is new enough. Security archives and other people's archives do not carry whole suites.
 * @param {readonly Source[]} sources what the machine is configured with
 */
export function candidateLines(sources) {
  const isMirror = (/** @type {Source} */ source) =>
    source.components.includes('main') &&
    !/debian-security/.test(source.uri) &&
    source.suites.some((suite) => SUITES.includes(suite) || OTHER_SUITES.includes(suite));
  const mirrors = sources.filter(isMirror);
  return SUITES.flatMap((suite) =>
    mirrors.map(({ uri, options }) => {
      const shown = options.length === 0 ? '' : `[${options.join(' ')}] `;
      return { suite, line: `deb ${shown}${uri} ${suite} main` };
    }),
  );
}

/**
 * Fields of one control stanza, names in lower case, continued lines joined, comments dropped (deb822(5)).
 * @param {string} stanza @returns {Map<string, string>}
 */
export function readFields(stanza) {
  const fields = new Map();
  let name = '';
  for (const line of stanza.split('\n')) {
    if (line.startsWith('#')) continue;
    const found = /^([!-9;-~]+):(.*)$/.exec(line);
    if (found?.[1] !== undefined) {
      name = found[1].toLowerCase();
      fields.set(name, (found[2] ?? '').trim());
    } else if (name !== '' && /^[ \t]/.test(line)) {
      fields.set(name, `${fields.get(name)}\n${line.trim()}`);
    }
  }
  return fields;
}

/** @param {string} option */
function isKept(option) {
  return option.startsWith('signed-by=/') || option.startsWith('trusted=');
}

/** @param {string} text */
function words(text) {
  return text.split(/\s+/).filter((word) => word !== '');
}
