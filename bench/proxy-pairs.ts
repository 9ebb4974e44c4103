import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { childrenOf } from './accounting.ts';
import { freePort, untilListening } from './ports.ts';
import type { Processes } from './processes.ts';

/**
 * What Weft is compared with: two proxies in a row (as a sidecar pair would be), each with one worker, keep-alive on
 * both sides, no access log, requests and answers streamed.
 */
export interface ProxyPair {
  readonly port: number;
  readonly pids: Readonly<Record<string, number>>;
}

const START_MS = 10_000;
/** More than the connections of any run, so that no pool is the limit. */
const POOL = 256;
const POLL_MS = 20;

export async function startNginxPair(processes: Processes, backendPort: number): Promise<ProxyPair> {
  const back = await startNginx('nginx-back', processes, backendPort);
  const front = await startNginx('nginx-front', processes, back.port);
  return { port: front.port, pids: { 'nginx front': front.pid, 'nginx back': back.pid } };
}

async function startNginx(name: string, processes: Processes, upstreamPort: number) {
  const port = await freePort();
  const folder = join(processes.folder, name);
  await mkdir(folder);
  const file = join(folder, 'nginx.conf');
  await writeFile(file, nginxConfig(folder, port, upstreamPort));
  const master = processes.start('nginx', ['-p', folder, '-c', file, '-e', join(folder, 'error.log')]);
  await untilListening(port, START_MS);
  for (let waited = 0; waited < START_MS; waited += POLL_MS) {
    const [worker] = childrenOf(master.pid);
    if (worker !== undefined) return { port, pid: worker };
    await wait(POLL_MS);
  }
  throw new Error(`${name} has started no worker`);
}

/** The worker keeps the user of the master: as `nobody` it could not enter the temporary folder. */
function nginxConfig(folder: string, port: number, upstreamPort: number): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  ${paths.map((path) => `${path}_temp_path ${folder}/${path};`).join('\n  ')}
  keepalive_requests 100000000;
  upstream next {
    server 127.0.0.1:${upstreamPort};
    keepalive ${POOL};
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    client_max_body_size 0;
    location / {
      proxy_pass http://next;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_request_buffering off;
      proxy_buffering off;
    }
  }
}
`;
}

export async function startHaproxyPair(processes: Processes, backendPort: number): Promise<ProxyPair> {
  const back = await startHaproxy('haproxy-back', processes, backendPort);
  const front = await startHaproxy('haproxy-front', processes, back.port);
  return { port: front.port, pids: { 'haproxy front': front.pid, 'haproxy back': back.pid } };
}

async function startHaproxy(name: string, processes: Processes, upstreamPort: number) {
  const port = await freePort();
  const file = join(processes.folder, `${name}.cfg`);
  await writeFile(file, haproxyConfig(port, upstreamPort));
  const { pid } = processes.start('haproxy', ['-db', '-q', '-f', file]);
  await untilListening(port, START_MS);
  return { port, pid };
}

function haproxyConfig(port: number, upstreamPort: number): string {
  return `
global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend in
  bind 127.0.0.1:${port}
  default_backend next
backend next
  server one 127.0.0.1:${upstreamPort} pool-max-conn ${POOL}
`;
}
