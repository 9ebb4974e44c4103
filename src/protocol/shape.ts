/**
 * Whether plain data from outside is of a form: small checks, and how they are put together. A form is exact: a field that is
 * not named in it is a fault.
 */

export type Check = (value: unknown) => boolean;

export const isMapping = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const anyOf =
  (...checks: readonly Check[]): Check =>
  (value) =>
    checks.some((check) => check(value));
export const is =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value);
export const maybe =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
export const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
/** A mapping with these and no others: what an unknown field asks for would not be done. */
export const fields = (checks: Readonly<Record<string, Check>>): Check => {
  const entries = Object.entries(checks);
  return (value) =>
    isMapping(value) &&
    entries.every(([name, check]) => check(value[name])) &&
    Object.keys(value).every((name) => Object.hasOwn(checks, name));
};
export const text =
  (form: RegExp, lengthMax: number): Check =>
  (value) =>
    typeof value === 'string' && value.length <= lengthMax && form.test(value);
export const whole =
  (least: number, most: number): Check =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
