/**
 * `npm run release`: builds the packages, checks them, and uploads them to registries. Whatever can be known before the first
 * upload is checked before it: the addresses, the tree, the versions, the credentials, what the registries have, the packages.
 */
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readOptions } from './options.ts';
import { runQuietly } from './programs.ts';
import { Credentials } from './release/credentials.ts';
import { NpmRegistry } from './release/npm.ts';
import { PypiRegistry } from './release/pypi.ts';
import { Refused, type Registry } from './release/registry.ts';
import { agreedVersion } from './release/version.ts';
import { makeTemporaryFolder } from './temporary.ts';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

const HELP = `npm run release -- [--npm URL] [--pypi URL] [--insecure] [--dry-run]

Builds the packages, checks them, and uploads them.

  --npm URL   the npm registry to upload to; NPM_TOKEN is its token
  --pypi URL  where to upload the Python package to, whose index is at URL/simple/; TWINE_USERNAME and TWINE_PASSWORD sign in
  --insecure  sign in over http too, where everybody on the way can read the token; to this machine that is not needed
  --dry-run   upload nothing: say what would be uploaded
  --help      this text

Exit codes: 0 done, 1 refused or failed, 2 a mistake on the command line.
`;

interface Options {
  readonly npm?: string | undefined;
  readonly pypi?: string | undefined;
  readonly insecure?: boolean | undefined;
}

/** The registries that the command line names; ends the process when it names none, or has a bad address. */
function readRegistries(options: Options, credentials: Credentials): Registry[] {
  const faults: string[] = [];
  const read = (option: 'npm' | 'pypi'): string[] => {
    const text = options[option];
    if (text === undefined) return [];
    const url = URL.parse(text);
    const isAddress = url !== null && /^https?:$/.test(url.protocol) && `${url.username}${url.password}${url.search}${url.hash}` === '';
    if (!isAddress) faults.push(`--${option}: must be an http or https URL, without a user, a query and a fragment`);
    else if (url.protocol === 'http:' && !isLoopback(url.hostname) && options.insecure !== true)
      faults.push(`--${option}: over http everybody on the way to ${url.host} can read the token: give an https URL, or --insecure`);
    else return [url.href.endsWith('/') ? url.href : `${url.href}/`];
    return [];
  };
  // A token of npm's is proven before the first upload, a password of the other only by an upload: that goes first.
  const registries = [
    ...read('pypi').map((url) => new PypiRegistry(url, credentials)),
    ...read('npm').map((url) => new NpmRegistry(ROOT, url, credentials)),
  ];
  if (registries.length === 0 && faults.length === 0) faults.push('--npm, --pypi: at least one must be given');
  if (faults.length === 0) return registries;
  process.stderr.write(`${faults.map((fault) => `release: ${fault}\n`).join('')}\n${HELP}`);
  return process.exit(2);
}

/** Whether what is sent there stays on this machine. @param hostname as a URL has it. */
function isLoopback(hostname: string): boolean {
  return /^(127(\.\d+){3}|\[::1\]|(.+\.)?localhost)$/.test(hostname);
}

/** A package is what a commit says. */
function refuseDirtyTree(): void {
  const changes = runQuietly('git', ['status', '--porcelain'], { cwd: ROOT }).trimEnd();
  if (changes !== '') throw new Refused(`the tree has changes that are not committed:\n${changes}`);
}

async function release(registries: readonly Registry[], isDryRun: boolean): Promise<void> {
  refuseDirtyTree();
  const version = agreedVersion(ROOT);
  const missing = isDryRun ? [] : registries.flatMap((registry) => registry.missingCredentials());
  if (missing.length > 0) throw new Refused(`${missing.join(', ')}: must be set, to sign in`);
  for (const registry of registries) await registry.refuseReleased(version);
  const folder = makeTemporaryFolder('release');
  try {
    const uploads = [];
    for (const registry of registries) for (const file of await registry.pack(version, folder)) uploads.push({ registry, file });
    for (const { registry, file } of uploads) {
      if (!isDryRun) registry.upload(file);
      const what = `${file.name} (${file.files} files, ${file.bytes} bytes) to ${registry.url}`;
      process.stdout.write(`${isDryRun ? 'would upload' : 'uploaded'} ${what}\n`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const { 'dry-run': isDryRun = false, ...options } = readOptions('release', HELP, {
  npm: { type: 'string' },
  pypi: { type: 'string' },
  insecure: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
});
let shown = (text: string) => text;
try {
  const credentials = new Credentials(process.env);
  shown = (text) => credentials.shown(text);
  await release(readRegistries(options, credentials), isDryRun);
} catch (error) {
  process.stderr.write(`release: ${shown(error instanceof Error ? error.message : String(error))}\n`);
  process.exitCode = 1;
}
