/** Registries of packages on the loopback interface, empty and with one user: Verdaccio for npm, pypiserver for Python. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { runServer } from 'verdaccio';

const PYTHON = fileURLToPath(new URL('../../client/python/.venv/bin/python', import.meta.url));

export interface NpmServer extends AsyncDisposable {
  readonly url: string;
  readonly token: string;
}

export async function startNpmServer(folder: string): Promise<NpmServer> {
  mkdirSync(folder);
  const app = (await runServer({
    self_path: folder,
    storage: `${folder}/storage`,
    auth: { htpasswd: { file: `${folder}/htpasswd` } },
    uplinks: {},
    packages: { '**': { access: '$all', publish: '$authenticated' } },
    max_body_size: '100mb',
    log: { type: 'stdout', format: 'json', level: 'fatal' },
  } as never)) as Server;
  app.listen(0, '127.0.0.1');
  await once(app, 'listening');
  const url = `http://127.0.0.1:${(app.address() as AddressInfo).port}`;
  const answer = await fetch(`${url}/-/user/org.couchdb.user:ci`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'ci', password: 'a-password-of-ci' }),
  });
  const { token } = (await answer.json()) as { token: string };
  return {
    url,
    token,
    [Symbol.asyncDispose]: async () => {
      app.close();
      app.closeAllConnections();
      await once(app, 'close');
    },
  };
}

export interface PypiServer extends AsyncDisposable {
  readonly url: string;
  readonly user: string;
  readonly password: string;
}

const SERVE = `
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from passlib.apache import HtpasswdFile
import pypiserver

class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

class Handler(WSGIRequestHandler):
    def log_message(self, *_):
        pass

folder, user, password, fallback = sys.argv[1:]
passwords = HtpasswdFile(f"{folder}/htpasswd", new=True)
passwords.set_password(user, password)
passwords.save()
app = pypiserver.app(roots=[f"{folder}/packages"], password_file=f"{folder}/htpasswd", authenticate=["update"], fallback_url=fallback)
with make_server("127.0.0.1", 0, app, Server, Handler) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
`;

/** Whatever it does not have it fetches from the registry that this machine uses, as private registries do. */
export async function startPypiServer(folder: string): Promise<PypiServer> {
  mkdirSync(`${folder}/packages`, { recursive: true });
  writeFileSync(`${folder}/serve.py`, SERVE);
  const configured = execFileSync(PYTHON, ['-m', 'pip', 'config', 'list'], { encoding: 'utf8' });
  const fallback = /index-url='(.*)'/.exec(configured)?.[1] ?? 'https://pypi.org/simple/';
  const user = 'ci';
  const password = 'a-password-of-ci';
  const child = spawn(PYTHON, [`${folder}/serve.py`, folder, user, password, fallback], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = (await once(createInterface({ input: child.stdout }), 'line', { close: ['close'] } as never)) as [string];
  return {
    url: `http://127.0.0.1:${port}`,
    user,
    password,
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await once(child, 'exit');
    },
  };
}
