import test from 'ava';
import {
  candidateLines,
  readFields,
  readListFile,
  readSourcesFile,
} from '../../scripts/setup/debian-mirror.mjs';
import { libcNeeded } from '../../scripts/setup/debian-package.mjs';

const DEB822 = `Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: https://other.example/node_20.x
Suites: nodistro
Components: main
`;

test('the mirror is derived from a deb822 file, with its key, newer suites in order', (t) => {
  t.deepEqual(
    candidateLines(readSourcesFile(DEB822)).map(({ line }) => line),
    ['trixie', 'forky', 'sid'].map(
      (suite) =>
        `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian ${suite} main`,
    ),
  );
});

test('the mirror is derived from one-line files', (t) => {
  const text = `
# deb http://commented.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/etc/keys/debian.gpg] http://mirror.example/debian bookworm main contrib # ours
deb http://mirror.example/debian-security bookworm-security main
deb https://other.example/apt cloud-sdk-bookworm main
`;
  t.deepEqual(candidateLines(readListFile(text))[0], {
    suite: 'trixie',
    line: 'deb [signed-by=/etc/keys/debian.gpg] http://mirror.example/debian trixie main',
  });
  t.is(candidateLines(readListFile(text)).length, 3);
});

test('a source that is switched off, has no main, or is of another system is not a mirror', (t) => {
  t.deepEqual(candidateLines(readSourcesFile(`Enabled: no\n${DEB822.split('\n\n')[0]}`)), []);
  t.deepEqual(candidateLines(readListFile('deb http://mirror.example/debian bookworm contrib')), []);
  t.deepEqual(candidateLines(readListFile('deb http://mirror.example/ubuntu noble main universe')), []);
  t.deepEqual(candidateLines(readSourcesFile('')), []);
});

test('a key that stands in the file itself is left to the trusted keys of apt', (t) => {
  const text = `Types: deb
URIs: http://mirror.example/debian
Suites: stable
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----
`;
  t.is(candidateLines(readSourcesFile(text))[0]?.line, 'deb http://mirror.example/debian trixie main');
});

test('the fields of a package are read, continued lines included', (t) => {
  const fields = readFields(
    'Package: nats-server\nVersion: 2.10.27-1+b2\nDepends: libc6 (>= 2.34), adduser\nDescription: server\n for NATS\nSHA256: 6d91\n',
  );
  t.is(fields.get('version'), '2.10.27-1+b2');
  t.is(fields.get('description'), 'server\nfor NATS');
  t.is(fields.get('sha256'), '6d91');
  t.is(libcNeeded(fields.get('depends') ?? ''), '2.34');
});

test('the libc6 version is found wherever it stands, and only that of libc6', (t) => {
  t.is(libcNeeded('adduser, libc6 (>= 2.38~rc1-2)'), '2.38~rc1-2');
  t.is(libcNeeded('libc6-dev (>= 2.99), adduser'), undefined);
  t.is(libcNeeded(''), undefined);
});
