/** A Python registry: the Python client, as sdist and wheel. */
import { join } from 'node:path';
import { cut } from '../../src/errors.ts';
import { runQuietly } from '../programs.ts';
import { PYTHON, PYTHON_FOLDER, preparePython } from '../python-environment.ts';
import { faultsOfContent, packedFile, unpack } from './content.ts';
import type { Credentials } from './credentials.ts';
import { ask, type PackedFile, Refused, type Registry, textOf } from './registry.ts';

export class PypiRegistry implements Registry {
  readonly url: string;
  readonly #credentials: Credentials;

  constructor(url: string, credentials: Credentials) {
    this.url = url;
    this.#credentials = credentials;
  }

  missingCredentials(): readonly string[] {
    return Object.entries(this.#signIn())
      .filter(([, value]) => value === '')
      .map(([name]) => name);
  }

  async refuseReleased(version: string): Promise<void> {
    const headers: Record<string, string> = { accept: 'text/html' };
    const { basic } = this.#credentials;
    if (basic !== '') headers['authorization'] = `Basic ${basic}`;
    // A registry that has no such package may send whoever asks on to another.
    const url = `${this.url}simple/courier-client/`;
    const response = await ask(url, headers, [200, 301, 302, 303, 307, 308, 404], Object.keys(this.#signIn()).join(', '));
    const location = response.headers.get('location');
    const elsewhere = location === null ? null : URL.parse(location, url);
    if (elsewhere?.hostname === new URL(url).hostname)
      throw new Refused(`${url} is at ${cut(`${elsewhere.origin}${elsewhere.pathname}`)} now: give that registry's address`);
    if (response.status !== 200) return;
    const listed = await textOf(response);
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
    const args = ['-m', 'twine', 'upload', '--non-interactive', '--disable-progress-bar', '--repository-url', this.url, path];
    const env = { ...process.env, ...this.#signIn() };
    runQuietly(PYTHON, args, { cwd: PYTHON_FOLDER, env }, (text) => this.#credentials.shown(text));
  }

  /** As Twine takes it from its environment. */
  #signIn(): Record<string, string> {
    return { TWINE_USERNAME: this.#credentials.twineUser, TWINE_PASSWORD: this.#credentials.twinePassword };
  }
}

/** The files of a version. */
function namesOf(version: string): readonly string[] {
  return [`courier_client-${version}-py3-none-any.whl`, `courier_client-${version}.tar.gz`];
}

function python(module: string, ...args: string[]): void {
  runQuietly(PYTHON, ['-m', module, ...args], { cwd: PYTHON_FOLDER });
}
