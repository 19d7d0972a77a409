/**
 * `npm run release`, from a clone, to a registry of each kind; and the packages as others then install them, or from a clone where
 * nobody has released them, in the words of the READMEs.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cloneTree } from '../helpers/clone.ts';
import { temporaryFolder } from '../helpers/folder.ts';
import { type NpmServer, type PypiServer, startNpmServer, startPypiServer } from '../helpers/registries.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** The programs of the Python client's environment. */
const VENV = `${ROOT}client/python/.venv/bin`;
const NPM_FILES = ['lumiere-courier-client-0.1.0.tgz', 'lumiere-courier-0.1.0.tgz'];
const PYTHON_FILES = ['courier_client-0.1.0-py3-none-any.whl', 'courier_client-0.1.0.tar.gz'];
const SIGNED_OUT = { NPM_TOKEN: '', TWINE_USERNAME: '', TWINE_PASSWORD: '' };
/** Nobody listens there. */
const NOWHERE = 'http://127.0.0.1:2/';

interface Outcome {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

function run(program: string, args: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { cwd, env: { ...process.env, ...SIGNED_OUT, NO_COLOR: '1', ...env } };
    execFile(program, args, options, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }));
  });
}

const folder = temporaryFolder();
const clone = folder.file('courier');
let npm: NpmServer;
let pypi: PypiServer;
let commit: () => void;

beforeAll(async () => {
  const { code, stderr } = await run(process.execPath, [`${ROOT}scripts/python.ts`, '--only', 'environment'], ROOT);
  if (code !== 0) throw new Error(stderr);
  ({ commit } = cloneTree(clone));
  // What is built here already is not built again; without what `prepack` makes there would be nothing to release.
  const prepack = `env > ${folder.file('prepack.env')} && ${copyOf('dist', 'client/dist', 'client/dashboard/dist')}`;
  change('package.json', (text) => text.replace(/"prepack": ".*"/, `"prepack": "${prepack}"`));
  commit();
  [npm, pypi] = await Promise.all([startNpmServer(folder.file('npm')), startPypiServer(folder.file('pypi'))]);
}, 120_000);

afterAll(async () => {
  await npm?.[Symbol.asyncDispose]();
  await pypi?.[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
}, 120_000);

function copyOf(...folders: string[]): string {
  return folders.map((name) => `rm -rf ${name} && cp -r ${ROOT}${name} ${name}`).join(' && ');
}

function change(path: string, edit: (text: string) => string): void {
  const text = readFileSync(`${clone}/${path}`, 'utf8');
  const edited = edit(text);
  expect(edited).not.toBe(text);
  writeFileSync(`${clone}/${path}`, edited);
}

/** Changes a file of the clone, until the end of the scope. */
function changed(path: string, edit: (text: string) => string): Disposable {
  const text = readFileSync(`${clone}/${path}`, 'utf8');
  change(path, edit);
  return { [Symbol.dispose]: () => writeFileSync(`${clone}/${path}`, text) };
}

/** As `changed`, committed. */
function committed(path: string, edit: (text: string) => string): Disposable {
  const change = changed(path, edit);
  commit();
  return {
    [Symbol.dispose]: () => {
      change[Symbol.dispose]();
      commit();
    },
  };
}

const credentials = () => ({ NPM_TOKEN: npm.token, TWINE_USERNAME: pypi.user, TWINE_PASSWORD: pypi.password });
const release = (args: readonly string[], env: Record<string, string> = credentials()) =>
  run('npm', ['run', '-s', 'release', '--', ...args], clone, env);
const uploadedPython = () => readdirSync(folder.file('pypi/packages')).sort();
const isOnNpm = async (name: string) => (await fetch(`${npm.url}/${name.replace('/', '%2f')}`)).status === 200;

describe('refuses, with nothing uploaded,', { timeout: 60_000 }, () => {
  afterAll(async () => {
    expect(uploadedPython()).toEqual([]);
    expect(await isOnNpm('@lumiere/courier-client')).toBe(false);
  });

  test.each([
    [[], '--npm, --pypi: at least one must be given'],
    [['--npm', 'registry'], '--npm: must be an http or https URL, without a user, a query and a fragment'],
    [['--npm', 'ftp://127.0.0.1/'], '--npm: must be'],
    [['--pypi', 'http://ci:secret@127.0.0.1/'], '--pypi: must be'],
    [['--pypi', 'http://127.0.0.1/?a=b'], '--pypi: must be'],
    [['--rpm', 'http://127.0.0.1/'], "Unknown option '--rpm'"],
    [['--npm', 'http://registry.example/'], '--npm: over http everybody on the way to registry.example can read the token'],
    [['--pypi', 'http://127.0.0.1.example:8080/'], '--pypi: over http everybody on the way to 127.0.0.1.example:8080 can'],
  ])('%j: a mistake on the command line', async (args, said) => {
    expect(await release(args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(`release: ${said}`) });
  });

  test.each([
    ['--npm', 'http://0.0.0.0:2/', '--insecure'],
    ['--npm', 'http://localhost:2/'],
    ['--pypi', 'http://[::1]:2/'],
  ])('%s %s %s, where http will do: nothing answers there', async (...args) => {
    expect(await release(args)).toMatchObject({ code: 1, stderr: expect.stringContaining(' does not answer: ') });
  });

  test('a token that no header can carry, without showing it', async () => {
    expect(await release(['--npm', npm.url], { ...credentials(), NPM_TOKEN: 'a\nsecret' })).toMatchObject({
      code: 1,
      stderr: 'release: NPM_TOKEN: has a space or a character that a token cannot have\n',
    });
  });

  test('changes that are not committed', async () => {
    using _ = changed('README.md', (text) => `${text}\n`);
    expect(await release(['--npm', npm.url])).toMatchObject({
      code: 1,
      stderr: 'release: the tree has changes that are not committed:\n M README.md\n',
    });
  });

  test('versions that disagree', async () => {
    using _ = committed('client/python/courier_client/_version.py', (text) => text.replace('0.1.0', '0.2.0'));
    const { code, stderr } = await release(['--npm', npm.url]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^release: the versions disagree:\npackage\.json: 0\.1\.0\n[\s\S]*_version\.py: 0\.2\.0\n$/);
  });

  test('without credentials, by the names of the variables', async () => {
    const urls = ['--npm', npm.url, '--pypi', pypi.url];
    expect(await release(urls, {})).toMatchObject({
      code: 1,
      stderr: 'release: TWINE_USERNAME, TWINE_PASSWORD, NPM_TOKEN: must be set, to sign in\n',
    });
    expect(await release(urls, { ...credentials(), TWINE_PASSWORD: '' })).toMatchObject({
      code: 1,
      stderr: 'release: TWINE_PASSWORD: must be set, to sign in\n',
    });
  });

  test('a token that the registry does not accept', async () => {
    expect(await release(['--npm', npm.url, '--pypi', pypi.url], { ...credentials(), NPM_TOKEN: 'another' })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('release: NPM_TOKEN: not accepted by '),
    });
  });

  test('a registry that does not answer, also when the other one would', async () => {
    expect(await release(['--npm', NOWHERE, '--pypi', pypi.url])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('does not answer'),
    });
  });

  test('a password that the registry does not accept', async () => {
    const { code, stderr } = await release(['--pypi', pypi.url], { ...credentials(), TWINE_PASSWORD: 'another' });
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('403 Forbidden') });
  });

  test('a package with a link that leads nowhere', { timeout: 120_000 }, async () => {
    using _ = committed('client/README.md', (text) => `${text}\n[More](../PROTOCOL.md#codes), and [what is above](#errors).\n`);
    expect(await release(['--npm', npm.url, '--dry-run'], {})).toMatchObject({
      code: 1,
      stderr: 'release: @lumiere/courier-client:\nREADME.md links to ../PROTOCOL.md#codes, which is not in the package\n',
    });
  });
});

describe('a release', { timeout: 120_000 }, () => {
  test('says without credentials what it would upload', async () => {
    const { code, stdout, stderr } = await release(['--pypi', pypi.url, '--dry-run'], {});
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.replaceAll(/\d+ files, \d+ bytes/g, 'n')).toBe(
      PYTHON_FILES.map((name) => `would upload ${name} (n) to ${pypi.url}/\n`).join(''),
    );
    expect(uploadedPython()).toEqual([]);
  });

  test('uploads the packages to both registries', async () => {
    const { code, stdout, stderr } = await release(['--npm', npm.url, '--pypi', pypi.url]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.replaceAll(/\d+ files, \d+ bytes/g, 'n')).toBe(
      [
        ...PYTHON_FILES.map((name) => `uploaded ${name} (n) to ${pypi.url}/\n`),
        ...NPM_FILES.map((name) => `uploaded ${name} (n) to ${npm.url}/\n`),
      ].join(''),
    );
    expect(uploadedPython()).toEqual(PYTHON_FILES);
    // What builds them runs code of many others.
    expect(readFileSync(folder.file('prepack.env'), 'utf8')).not.toMatch(/NPM_TOKEN|TWINE_|_authToken/);
  });

  test('is refused when a registry has the version', async () => {
    expect(await release(['--npm', npm.url])).toEqual({
      code: 1,
      stdout: '',
      stderr: `release: ${npm.url}/ has @lumiere/courier-client 0.1.0 already: raise the version\n`,
    });
    expect(await release(['--pypi', pypi.url])).toEqual({
      code: 1,
      stdout: '',
      stderr: `release: ${pypi.url}/ has courier_client-0.1.0-py3-none-any.whl already: raise the version\n`,
    });
  });
});

describe('a registry that nobody should have trusted', { timeout: 60_000 }, () => {
  const SECRETS = { NPM_TOKEN: 'npm/token+of=ci', TWINE_USERNAME: 'ci', TWINE_PASSWORD: 'a/password of ci' };
  const BASIC = Buffer.from(`${SECRETS.TWINE_USERNAME}:${SECRETS.TWINE_PASSWORD}`).toString('base64');

  /** Answers to what is uploaded with all that it was told. */
  const echo: RequestListener = ({ method, headers }, res) => {
    if (method === 'GET') return res.writeHead(404).end('{}');
    const told = `\u001b[2J\u202e${headers.authorization}`;
    return res.writeHead(400, `\u009b2J ${headers.authorization}`).end(JSON.stringify({ error: told, reason: told }));
  };

  test.each([
    'null',
    '[]',
    '"\u001b[2J"',
    '{"versions":null,"username":null}',
    '{"versions":7,"username":7}',
    '<html>\u001b[2J</html>',
    '',
  ])('answers with %j', async (body) => {
    await using registry = await startRegistry((_, res) => res.end(body));
    for (const [env, path] of [
      [{}, '@lumiere%2fcourier-client'],
      [SECRETS, '-/whoami'],
    ] as const)
      expect(await release(['--npm', registry.url, '--dry-run'], env)).toEqual({
        code: 1,
        stdout: '',
        stderr: `release: ${registry.url}/${path} does not answer as an npm registry does: is the address right?\n`,
      });
  });

  test('breaks off, or does not end', async () => {
    await using broken = await startRegistry((_, res) => res.writeHead(200, { 'content-length': '9' }).write('{', () => res.destroy()));
    expect(await release(['--npm', broken.url, '--dry-run'], {})).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(' breaks off: '),
    });
    const chunk = Buffer.alloc(1024 * 1024, ' ');
    await using endless = await startRegistry((_, res) => {
      const more = (error?: Error | null): void => void (!error && res.write(chunk, more));
      more();
    });
    for (const option of ['--npm', '--pypi'])
      expect(await release([option, endless.url, '--dry-run'], {})).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/^release: the answer of \S+ has more than 67108864 bytes\n$/),
      });
  });

  test('sends callers on to an address with a password', async () => {
    await using registry = await startRegistry((_, res) =>
      res.writeHead(302, { location: 'http://me:hunter2@127.0.0.1/elsewhere?token=hunter2#hunter2' }).end(),
    );
    expect(await release(['--pypi', registry.url], SECRETS)).toMatchObject({
      code: 1,
      stderr: `release: ${registry.url}/simple/courier-client/ is at http://127.0.0.1/elsewhere now: give that registry's address\n`,
    });
  });

  test.each(['--npm', '--pypi'])('%s: repeats what it was told with an upload', { timeout: 120_000 }, async (option) => {
    await using registry = await startRegistry(echo);
    const { code, stderr } = await release([option, registry.url], SECRETS);
    expect(code).toBe(1);
    expect(stderr).toContain('400');
    for (const secret of [SECRETS.NPM_TOKEN, SECRETS.TWINE_PASSWORD, BASIC]) expect(stderr).not.toContain(secret);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    expect(stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });
});

/** A registry that answers in any way. */
async function startRegistry(answer: RequestListener): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer((req, res) => {
    req.resume().on('end', () => answer(req, res));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

// They wait for registries most of the time.
describe.concurrent('is installed as the READMEs say', { timeout: 120_000 }, () => {
  test('from a registry: client and gateway', async () => {
    const project = emptyProject('released');
    const install = example('client/README.md', 'https://REGISTRY').replace('https://REGISTRY', npm.url);
    expect(await run('sh', ['-euc', `${install}\nnpm install @lumiere/courier`], project)).toMatchObject({ code: 0 });
    const { dependencies } = JSON.parse(readFileSync(`${project}/package.json`, 'utf8')) as { dependencies: object };
    expect(dependencies).toEqual({ '@lumiere/courier-client': '^0.1.0', '@lumiere/courier': '^0.1.0' });
    await expectNodePackages(project);
  });

  test('from a registry: the Python package', async () => {
    const environment = await pythonEnvironment('released-python');
    const install = example('client/python/README.md', 'https://REGISTRY').replace('https://REGISTRY', pypi.url);
    expect(await run('sh', ['-euc', install], folder.path, environment)).toMatchObject({ code: 0 });
    await expectPythonPackage(environment);
  });

  test('from a clone: client and gateway', async () => {
    const project = emptyProject('your-project');
    for (const install of [example('client/README.md', 'npm pack'), example('README.md', 'npm pack')]) {
      const installed = await run('sh', ['-euc', install], clone);
      expect(installed).toMatchObject({ code: 0 });
      // npm warns of a package whose installation would run something.
      expect(installed.stderr).not.toContain('install-scripts');
    }
    await expectNodePackages(project);
  });

  test('from a clone: the Python package', async () => {
    const environment = await pythonEnvironment('your-python');
    expect(await run('sh', ['-euc', example('client/python/README.md', 'pip install ./')], clone, environment)).toMatchObject({ code: 0 });
    await expectPythonPackage(environment);
  });
});

/** The only example of a README that has a text in it. */
function example(document: string, having: string): string {
  const examples = [...readFileSync(`${ROOT}${document}`, 'utf8').matchAll(/```sh\n([\s\S]*?)```/g)].map(([, text = '']) => text);
  const found = examples.filter((text) => text.includes(having));
  expect(found, `${document} shows ${having} once`).toHaveLength(1);
  return found[0] as string;
}

function emptyProject(name: string): string {
  const project = folder.file(name);
  mkdirSync(project);
  writeFileSync(`${project}/package.json`, '{"private":true,"type":"module"}');
  return project;
}

/** What there is in an empty environment of Python's: `pip` of the client's environment installs into it, as one of its own would. */
async function pythonEnvironment(name: string): Promise<Record<string, string>> {
  const venv = folder.file(name);
  expect(await run(`${VENV}/python`, ['-m', 'venv', '--without-pip', venv], folder.path)).toMatchObject({ code: 0 });
  return { PATH: `${venv}/bin:${VENV}:${process.env['PATH']}`, PIP_PYTHON: `${venv}/bin/python` };
}

async function expectNodePackages(project: string): Promise<void> {
  const program = `import { CourierClient } from '@lumiere/courier-client'; import '@lumiere/courier/contract'; console.log(typeof CourierClient);`;
  expect(await run('node', ['--input-type', 'module', '--eval', program], project)).toMatchObject({ code: 0, stdout: 'function\n' });
  expect(await run('npx', ['courier', '--version'], project)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^0\.1\.0$/m) });
}

async function expectPythonPackage(environment: Record<string, string>): Promise<void> {
  const program = 'import courier_client; print(courier_client.__version__, courier_client.__file__)';
  expect(await run('python', ['-c', program], folder.path, environment)).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^0\.1\.0 .*site-packages/),
  });
}
