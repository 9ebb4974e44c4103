import { readdir, readFile } from 'node:fs/promises';
import { Ajv } from 'ajv';
import test from 'ava';

const FOLDER = new URL('../../schemas/', import.meta.url);

test('every schema is a good one: what loads them does not look', async (t) => {
  const files = (await readdir(FOLDER)).filter((name) => name.endsWith('.schema.json'));
  t.true(files.length > 0);
  const ajv = new Ajv({ strict: false });
  for (const file of files) {
    const schema = JSON.parse(await readFile(new URL(file, FOLDER), 'utf8'));
    t.true(ajv.validateSchema(schema), `${file}: ${ajv.errorsText()}`);
  }
});
