/**
 * How our JSON Schemas are compiled: once per process, and most processes are commands that check a handful of documents.
 * Schemas made into code without inlining and without a pass that shortens the code are there four times sooner, and
 * check no slower than anybody can tell. That the schemas are good ones is a matter of tests.
 */
export const SCHEMA_OPTIONS = {
  validateSchema: false,
  inlineRefs: false,
  code: { optimize: false },
  strictRequired: false,
} as const;
