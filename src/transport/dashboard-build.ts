/**
 * The dashboard's files as `npm run build:dashboard` leaves them, read into memory at the start: a build that replaces them meanwhile
 * changes no answer.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import { lookup } from 'mrmime';
import { IS_CLONE } from '../commands.ts';

const ROOT = dirname(findPackageJSON(import.meta.url) as string);
/** Seen from the package: the same from source and from `dist`. */
export const BUILT = 'client/dashboard/dist';
/** What it is made of. An installed package has none of that. */
const SOURCES = ['client/src', 'client/dashboard/src', 'client/dashboard/index.html', 'client/dashboard/vite.config.ts', 'src/contract'];
/** Bytes of all files, at most; a build has 2.5 MB. */
const MAX_BYTES = 16 * 1024 * 1024;
/** How the page names its assets. */
const ASSET_IN_PAGE = /"\.\/assets\/([^"]+)"/g;
/** Encodings that the build has of its assets, the smallest first, with the endings of their files. */
const ENCODINGS = [
  { encoding: 'br', ending: '.br' },
  { encoding: 'gzip', ending: '.gz' },
] as const;

export interface Content {
  readonly bytes: Buffer;
  readonly etag: string;
}

export interface Asset extends Content {
  readonly contentType: string;
  /** The same, the smallest first. */
  readonly encoded: readonly (Content & { readonly encoding: string })[];
}

export interface DashboardBuild {
  readonly page: string;
  /** By their names in the folder `assets`. */
  readonly assets: ReadonlyMap<string, Asset>;
}

/** The build in `folder`; what is wrong with it where it cannot be served. */
export function readBuild(folder: string = join(ROOT, BUILT)): DashboardBuild | string {
  try {
    const page = readFileSync(join(folder, 'index.html'), 'utf8');
    const files = readFiles(join(folder, 'assets'));
    if (files === undefined) return `the dashboard's files have more than ${MAX_BYTES / 1024 / 1024} MiB`;
    const assets = new Map([...files].filter(([name]) => !isEncoded(name)).map(([name, bytes]) => [name, assetOf(name, bytes, files)]));
    const isWhole = [...page.matchAll(ASSET_IN_PAGE)].every(([, name = '']) => assets.has(name));
    return isWhole ? { page, assets } : 'the dashboard was being built when the gateway started: start it again';
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    const remedy = IS_CLONE
      ? 'run `npm run build:dashboard`, and start the gateway again'
      : `there is none in ${folder}: install Courier again`;
    return `the dashboard is not built: ${remedy}`;
  }
}

/** Undefined when they are too large. */
function readFiles(folder: string): Map<string, Buffer> | undefined {
  const names = readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isFile() ? [entry.name] : []));
  const bytes = names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  return bytes > MAX_BYTES ? undefined : new Map(names.map((name) => [name, readFileSync(join(folder, name))]));
}

function isEncoded(name: string): boolean {
  return ENCODINGS.some(({ ending }) => name.endsWith(ending));
}

function assetOf(name: string, bytes: Buffer, files: ReadonlyMap<string, Buffer>): Asset {
  const encoded = ENCODINGS.flatMap(({ encoding, ending }) => {
    const found = files.get(name + ending);
    return found === undefined ? [] : [{ encoding, ...contentOf(found) }];
  });
  return { contentType: lookup(name) ?? 'application/octet-stream', ...contentOf(bytes), encoded };
}

function contentOf(bytes: Buffer): Content {
  return { bytes, etag: etagOf(bytes) };
}

export function etagOf(content: string | Buffer): string {
  return `"${createHash('sha256').update(content).digest('base64url')}"`;
}

/** Why the gateway serves no dashboard, or an old one; undefined where it serves the present one. */
export function problemOfBuild(folder?: string): string | undefined {
  const build = readBuild(folder);
  if (typeof build === 'string') return build;
  if (folder !== undefined || !isStale()) return undefined;
  return 'the dashboard is older than what it is made of: run `npm run build:dashboard`, and start the gateway again';
}

/** Whether something that the dashboard is made of was changed after it was built. */
export function isStale(root: string = ROOT): boolean {
  const built = statSync(join(root, BUILT, 'index.html'), { throwIfNoEntry: false });
  return built !== undefined && SOURCES.some((path) => newestIn(join(root, path)) > built.mtimeMs);
}

function newestIn(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 0;
  const within = found.isDirectory() ? readdirSync(path) : [];
  return Math.max(found.mtimeMs, ...within.map((name) => newestIn(join(path, name))));
}
