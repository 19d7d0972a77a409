/** An npm registry: the client and the gateway. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkPackage, createPackageFromTarballData, type Problem } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { z } from 'zod';
import { runQuietly } from '../programs.ts';
import { faultsOfContent, packedFile, unpack } from './content.ts';
import type { Credentials } from './credentials.ts';
import { ask, jsonOf, type PackedFile, Refused, type Registry } from './registry.ts';

/** In the order in which they are uploaded, with their folders. */
const PACKAGES = { '@lumiere/courier-client': './client', '@lumiere/courier': '.' } as const;
const NEEDED = ['package.json', 'README.md', 'LICENSE'];

/** What a registry says of a package, and of who asks. */
const aboutPackage = z.object({ versions: z.record(z.string(), z.unknown()).optional() });
const whoAsks = z.object({ username: z.string().optional() });

export class NpmRegistry implements Registry {
  readonly url: string;
  readonly #root: string;
  readonly #credentials: Credentials;

  constructor(root: string, url: string, credentials: Credentials) {
    this.url = url;
    this.#root = root;
    this.#credentials = credentials;
  }

  missingCredentials(): readonly string[] {
    return this.#credentials.npmToken === '' ? ['NPM_TOKEN'] : [];
  }

  async refuseReleased(version: string): Promise<void> {
    const { npmToken: token } = this.#credentials;
    const headers: Record<string, string> = token === '' ? {} : { authorization: `Bearer ${token}` };
    if (token !== '') await this.#refuseBadToken(headers);
    for (const name of Object.keys(PACKAGES)) {
      const response = await ask(`${this.url}${name.replace('/', '%2f')}`, headers, [200, 404], 'NPM_TOKEN');
      if (response.status === 404) continue;
      const { versions = {} } = await jsonOf(response, aboutPackage);
      if (Object.hasOwn(versions, version)) throw new Refused(`${this.url} has ${name} ${version} already: raise the version`);
    }
  }

  async #refuseBadToken(headers: Record<string, string>): Promise<void> {
    const url = `${this.url}-/whoami`;
    const response = await ask(url, headers, [200, 404], 'NPM_TOKEN');
    // Not every registry says who asks.
    if (response.status === 404) return;
    const { username } = await jsonOf(response, whoAsks);
    if (username === undefined) throw new Refused(`NPM_TOKEN: not accepted by ${url}`);
  }

  async pack(version: string, folder: string): Promise<readonly PackedFile[]> {
    this.#npm(['run', 'prepack']);
    // What `prepack` has built is not built again.
    this.#npm(['pack', '--ignore-scripts', '--pack-destination', folder, ...Object.values(PACKAGES)]);
    const files: PackedFile[] = [];
    for (const name of Object.keys(PACKAGES)) {
      const path = join(folder, `${name.slice(1).replace('/', '-')}-${version}.tgz`);
      const content = join(unpack(path), 'package');
      const faults = [...faultsOfContent(content, NEEDED), ...(await faultsOfModules(path))];
      if (faults.length > 0) throw new Refused(`${name}:\n${faults.join('\n')}`);
      files.push(packedFile(path, content));
    }
    return files;
  }

  upload({ path }: PackedFile): void {
    const { host, pathname } = new URL(this.url);
    // The scope may have another registry in the operator's own configuration.
    const registry = ['--registry', this.url, `--@lumiere:registry=${this.url}`];
    const { npmToken: token } = this.#credentials;
    const env = { ...process.env, NPM_TOKEN: token, [`npm_config_//${host}${pathname}:_authToken`]: token };
    this.#npm(['publish', path, ...registry, '--access', 'restricted', '--ignore-scripts'], env);
  }

  /** It says why it fails also where `npm run --silent` has asked for silence. */
  #npm(args: readonly string[], env = process.env): void {
    const options = { cwd: this.#root, env: { ...env, npm_config_loglevel: 'warn' } };
    runQuietly('npm', args, options, (text) => this.#credentials.shown(text));
  }
}

/** What others could not import, or would get wrong types of. */
async function faultsOfModules(path: string): Promise<string[]> {
  const bytes = new Uint8Array(readFileSync(path));
  const { messages, pkg } = await publint({ pack: { tarball: bytes.buffer }, strict: true });
  const types = await checkPackage(createPackageFromTarballData(bytes));
  const problems = types.types === false ? [] : types.problems.filter(isPromised);
  return [
    ...messages.map((message) => String(formatMessage(message, pkg))),
    ...problems.map((problem) => `types: ${JSON.stringify(problem)}`),
  ];
}

/** The packages are ES modules: how a CommonJS program would find their types is nothing that they promise. */
function isPromised(problem: Problem): boolean {
  return !('resolutionKind' in problem) || (problem.resolutionKind !== 'node10' && problem.resolutionKind !== 'node16-cjs');
}
