/** A Python registry: the Python client, as sdist and wheel. */
import { join } from 'node:path';
import { runQuietly } from '../programs.ts';
import { PYTHON, PYTHON_FOLDER, preparePython } from '../python-environment.ts';
import { faultsOfContent, packedFile, unpack } from './content.ts';
import { ask, type PackedFile, Refused, type Registry } from './registry.ts';

const CREDENTIALS = ['TWINE_USERNAME', 'TWINE_PASSWORD'] as const;

export class PypiRegistry implements Registry {
  readonly url: string;
  readonly #env: NodeJS.ProcessEnv;

  constructor(url: string, env: NodeJS.ProcessEnv) {
    this.url = url;
    this.#env = env;
  }

  missingCredentials(): readonly string[] {
    return CREDENTIALS.filter((name) => (this.#env[name] ?? '') === '');
  }

  async refuseReleased(version: string): Promise<void> {
    const headers: Record<string, string> = { accept: 'text/html' };
    const [user, password] = CREDENTIALS.map((name) => this.#env[name] ?? '');
    if (user !== '') headers['authorization'] = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    // A registry that has no such package may send whoever asks on to another.
    const url = `${this.url}simple/courier-client/`;
    const response = await ask(url, headers, [200, 301, 302, 303, 307, 308, 404], CREDENTIALS.join(', '));
    const location = response.headers.get('location');
    const elsewhere = location === null ? null : URL.parse(location, url);
    if (elsewhere?.hostname === new URL(url).hostname)
      throw new Refused(`${url} is at ${elsewhere.href} now: give that registry's address`);
    if (response.status !== 200) return;
    const listed = await response.text();
    const [name] = namesOf(version).filter((file) => listed.includes(file));
    if (name !== undefined) throw new Refused(`${this.url} has ${name} already: raise the version`);
  }

  async pack(version: string, folder: string): Promise<readonly PackedFile[]> {
    preparePython();
    python('build', '--no-isolation', '--outdir', folder, '.');
    const paths = namesOf(version).map((name) => join(folder, name));
    python('twine', 'check', '--strict', ...paths);
    return paths.map((path) => {
      const isWheel = path.endsWith('.whl');
      const content = isWheel ? unpack(path) : join(unpack(path), `courier_client-${version}`);
      const info = `courier_client-${version}.dist-info`;
      const needed = isWheel
        ? [`${info}/METADATA`, `${info}/licenses/LICENSE`, 'courier_client/py.typed']
        : ['pyproject.toml', 'README.md', 'LICENSE'];
      const faults = faultsOfContent(content, needed);
      if (faults.length > 0) throw new Refused(`courier-client:\n${faults.join('\n')}`);
      return packedFile(path, content);
    });
  }

  upload({ path }: PackedFile): void {
    python('twine', 'upload', '--non-interactive', '--disable-progress-bar', '--repository-url', this.url, path);
  }
}

/** The files of a version. */
function namesOf(version: string): readonly string[] {
  return [`courier_client-${version}-py3-none-any.whl`, `courier_client-${version}.tar.gz`];
}

function python(module: string, ...args: string[]): void {
  runQuietly(PYTHON, ['-m', module, ...args], { cwd: PYTHON_FOLDER });
}
