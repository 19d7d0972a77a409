/**
 * The image of scripts/deploy/Dockerfile: Buildah builds it without a daemon, Bubblewrap runs it. Registries of images are not
 * reached: in place of the base image are this machine's Node.js and npm, and the few packages of Debian that they need.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, chownSync, cpSync, mkdirSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { programFrom } from '../../scripts/servers.ts';
import { temporaryFolder } from '../helpers/folder.ts';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const BASE = 'docker.io/library/node:24-bookworm-slim';
const PACKAGES = [
  ...['base-files', 'coreutils', 'dash', 'libacl1', 'libatomic1', 'libattr1', 'libc6', 'libcrypt1', 'libgcc-s1', 'libgmp10'],
  ...['libpcre2-8-0', 'libselinux1', 'libssl3', 'libstdc++6'],
];
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';
/** The base image's user, beside root. */
const NODE = { name: 'node', id: 1000 };
/** Where npm has downloaded the packages before. The build sees it, and leaves it as it is. */
const NPM_CACHE = process.env['npm_config_cache'] ?? join(homedir(), '.npm');

type Run = (...args: readonly string[]) => Promise<string>;

interface Config {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  readonly Volumes: Readonly<Record<string, unknown>>;
  readonly ExposedPorts: Readonly<Record<string, unknown>>;
  readonly Healthcheck: { readonly Test: readonly [form: 'CMD', ...command: string[]] };
}

export interface Image extends AsyncDisposable {
  /** Its files. */
  readonly root: string;
  readonly config: Config;
  /** Runs what the image starts. */
  start(options: ContainerOptions): Container;
}

export interface ContainerOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** The folder that is the volume; without one nothing can be written anywhere. */
  readonly volume?: string;
}

/** Process 1 of its own machine, with a network of its own, as the image's user, on files that cannot be written to. */
export interface Container extends AsyncDisposable {
  /** Resolves once a line of its output matches; rejects when it ends before. */
  line(pattern: RegExp): Promise<string>;
  /** Runs a command beside it, as the health check is: resolves to its exit code and output. */
  execute(command: readonly string[], env?: Readonly<Record<string, string>>): Promise<{ readonly code: number; readonly output: string }>;
  /** Sends process 1 a signal. */
  signal(signal: NodeJS.Signals): void;
  /** Resolves when it has ended, to the exit code. */
  readonly ended: Promise<number | string>;
}

/** Builds the image. @throws with what the build printed. */
export async function buildImage(): Promise<Image> {
  const [program, bwrap] = [await programFrom('buildah'), await programFrom('bubblewrap', 'bwrap')];
  await using stack = new AsyncDisposableStack();
  // In memory: twenty thousand files are written once, and read once.
  const folder = stack.use(temporaryFolder('/dev/shm'));
  const storage = ['--root', folder.file('storage'), '--runroot', folder.file('run'), '--storage-driver', 'overlay'];
  const buildah: Run = async (...args) => (await promisify(execFile)(program, [...storage, ...args], { maxBuffer: 2 ** 24 })).stdout.trim();
  // What is mounted could not be removed.
  stack.defer(async () => void (await buildah('rm', '--all')));
  await buildBase(buildah);
  const how = ['--pull-never', '--isolation', 'chroot', '--layers=false', '--format', 'docker', '--volume', `${NPM_CACHE}:/root/.npm:O`];
  await buildah('build', ...how, '--file', 'scripts/deploy/Dockerfile', '--tag', 'courier', REPOSITORY);
  const container = await buildah('from', '--pull-never', 'localhost/courier');
  const root = await buildah('mount', container);
  const { Docker } = JSON.parse(await buildah('inspect', '--type', 'image', 'localhost/courier')) as { Docker: { config: Config } };
  const resources = stack.move();
  return {
    root,
    config: Docker.config,
    start: (options) => new Bubble(bwrap, { root, config: Docker.config }, options),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function buildBase(buildah: Run): Promise<void> {
  const container = await buildah('from', 'scratch');
  const root = await buildah('mount', container);
  for (const folder of [
    'usr/bin',
    'usr/lib/node_modules',
    'usr/lib64',
    'usr/sbin',
    'usr/etc',
    'etc/ssl/certs',
    'root',
    'home',
    'proc',
    'dev',
    'tmp',
  ]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  for (const name of ['bin', 'lib', 'lib64', 'sbin']) symlinkSync(`usr/${name}`, join(root, name));
  const execute = promisify(execFile);
  const { stdout } = await execute('dpkg', ['--listfiles', ...PACKAGES]);
  const isNeeded = (path: string) => !/^\/usr\/share\/|\/gconv\//.test(path) && statSync(path, { throwIfNoEntry: false })?.isFile();
  const files = stdout.split('\n').filter(isNeeded);
  const archive = join(root, 'tmp/packages.tar');
  await execute('tar', ['--create', '--file', archive, '--directory', '/', ...files.map((path) => path.slice(1))]);
  await execute('tar', ['--extract', '--file', archive, '--keep-directory-symlink', '--directory', root]);
  rmSync(archive);
  cpSync(process.execPath, join(root, 'usr/bin/node'));
  cpSync(join(realpathSync(await programFrom('npm')), '../..'), join(root, 'usr/lib/node_modules/npm'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/bin/npm'));
  cpSync(CERTIFICATES, join(root, CERTIFICATES));
  writeFileSync(join(root, 'usr/etc/npmrc'), `cafile=${CERTIFICATES}\nprefer-offline=true\naudit=false\nupdate-notifier=false\n`);
  for (const [name, id] of [['root', 0] as const, [NODE.name, NODE.id] as const]) {
    appendFileSync(join(root, 'etc/passwd'), `${name}:x:${id}:${id}::/${id === 0 ? name : `home/${name}`}:/bin/sh\n`);
    appendFileSync(join(root, 'etc/group'), `${name}:x:${id}:\n`);
  }
  await buildah('config', '--env', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', container);
  await buildah('commit', '--quiet', '--rm', container, BASE);
}

class Bubble implements Container {
  readonly ended: Promise<number | string>;
  readonly #process: ChildProcess;
  readonly #pid: Promise<number>;
  readonly #lines: string[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #command: (command: readonly string[], env: Readonly<Record<string, string>>, more: readonly string[]) => readonly string[];

  constructor(bwrap: string, { root, config }: Pick<Image, 'root' | 'config'>, { env = {}, volume }: ContainerOptions) {
    const given = { ...Object.fromEntries(config.Env.map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string])), ...env };
    const files = [...['--ro-bind', root, '/', '--proc', '/proc', '--dev', '/dev'], ...(volume ? mounted(volume, { root, config }) : [])];
    this.#command = (command, own, more) => [
      ...[bwrap, ...files, '--unshare-pid', '--unshare-ipc', '--clearenv', '--chdir', config.WorkingDir, ...more],
      ...Object.entries({ ...given, ...own }).flatMap(([name, value]) => ['--setenv', name, value]),
      // The image's user is looked up in its own files; with that all that root may do is gone.
      ...['/usr/sbin/chroot', '--skip-chdir', `--userspec=${config.User}:`, '--groups=', '/', ...command],
    ];
    const [program, ...args] = this.#command([...config.Entrypoint, ...config.Cmd], {}, [
      '--unshare-net',
      '--as-pid-1',
      '--json-status-fd',
      '3',
    ]);
    this.#process = spawn(program as string, args, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
    const [, stdout, stderr, status] = this.#process.stdio as unknown as readonly [null, Readable, Readable, Readable];
    for (const stream of [stdout, stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        this.#lines.push(line);
        for (const check of this.#waiting) check();
      });
    }
    this.#pid = once(createInterface({ input: status }), 'line').then(
      ([line]) => (JSON.parse(line) as { 'child-pid': number })['child-pid'],
    );
    this.ended = once(this.#process, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  }

  line(pattern: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const found = this.#lines.find((line) => pattern.test(line));
        if (found !== undefined) resolve(found);
      };
      this.#waiting.add(check);
      check();
      void this.ended.then((code) => reject(new Error(`ended with ${code} before ${pattern}: ${this.#lines.join('\n')}`)));
    });
  }

  async execute(command: readonly string[], env = {}): Promise<{ readonly code: number; readonly output: string }> {
    const child = spawn('nsenter', ['--target', String(await this.#pid), '--net', '--', ...this.#command(command, env, [])], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += String(chunk);
      });
    }
    const [code] = (await once(child, 'close')) as [number];
    return { code, output };
  }

  signal(signal: NodeJS.Signals): void {
    void this.#pid.then((pid) => process.kill(pid, signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const isOver = this.ended.then(() => undefined);
    const pid = await Promise.race([this.#pid, isOver]);
    if (pid !== undefined && this.#process.exitCode === null) process.kill(pid, 'SIGKILL');
    await isOver;
  }
}

/** Gives a folder, which is a new volume, to whoever has it in the image. */
function mounted(folder: string, { root, config }: Pick<Image, 'root' | 'config'>): readonly string[] {
  const [place = ''] = Object.keys(config.Volumes);
  const { uid, gid } = statSync(join(root, place));
  chownSync(folder, uid, gid);
  return ['--bind', folder, place];
}
