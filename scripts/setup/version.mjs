/**
 * The first `1.2` or `1.2.3` in a text such as `v24.21.0` or `nats-server: v2.10.27`.
 * @param {string} text
 * @returns {[number, number, number] | undefined} major, minor, patch (0 where it is not given)
 */
export function readVersion(text) {
  const found = /(?<![\d.])(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(?![\d])/.exec(text);
  return found === null ? undefined : [Number(found[1]), Number(found[2]), Number(found[3] ?? 0)];
}

/**
 * True if the version in the text is the oldest wanted one or a newer one; false also if there is none.
 * @param {string} text
 * @param {readonly [number, number]} oldest major, minor
 */
export function isAtLeast(text, oldest) {
  const version = readVersion(text);
  if (version === undefined) return false;
  return version[0] > oldest[0] || (version[0] === oldest[0] && version[1] >= oldest[1]);
}
