/** What is in a package: nothing that is missing, nothing that belongs elsewhere, and no document that leads nowhere. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { runQuietly } from '../programs.ts';
import { PYTHON } from '../python-environment.ts';
import type { PackedFile } from './registry.ts';

const TESTS = /(^|\/)(tests?|__tests__)\/|\.(test|spec)\.|(^|\/)(test_[^/]*|conftest)\.py$/;

/** Unpacks a package beside itself; returns the folder. */
export function unpack(path: string): string {
  const folder = `${path}.content`;
  mkdirSync(folder);
  if (path.endsWith('.whl')) runQuietly(PYTHON, ['-m', 'zipfile', '-e', path, folder], {});
  else runQuietly('tar', ['-xzf', path, '-C', folder], {});
  return folder;
}

export function packedFile(path: string, content: string): PackedFile {
  return { name: basename(path), path, bytes: statSync(path).size, files: filesIn(content).length };
}

/** @param needed paths that must be there. @returns a line for each fault. */
export function faultsOfContent(folder: string, needed: readonly string[]): string[] {
  const files = filesIn(folder);
  return [
    ...needed.filter((path) => !files.includes(path)).map((path) => `${path} is missing`),
    ...files.filter((path) => TESTS.test(path)).map((path) => `${path} is of the tests`),
    ...files.filter((path) => path.endsWith('.md')).flatMap((path) => faultsOfDocument(folder, path)),
    ...files.filter((path) => /\.(js|css)$/.test(path)).flatMap((path) => faultsOfMap(folder, path)),
  ];
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

/** Links to files that are not in the package, or to headings that are not in the file. */
function faultsOfDocument(folder: string, path: string): string[] {
  const text = proseOf(folder, path);
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target as string);
  return targets
    .filter((target) => !/^(https?|mailto):/.test(target))
    .filter((target) => {
      const [file, heading] = target.split('#') as [string, string?];
      const there = file === '' ? path : join(dirname(path), file);
      if (there.startsWith('..') || !existsSync(join(folder, there))) return true;
      return heading !== undefined && !headingsOf(proseOf(folder, there)).includes(heading);
    })
    .map((target) => `${path} links to ${target}, which is not in the package`);
}

/** A document without its examples. */
function proseOf(folder: string, path: string): string {
  return readFileSync(join(folder, path), 'utf8').replace(/^ *```[\s\S]*?^ *```$/gm, '');
}

/** The anchors of a document's headings, as GitHub and GitLab make them. */
function headingsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\- _]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** A source map that is not there, or whose sources are neither in it nor in the package. */
function faultsOfMap(folder: string, path: string): string[] {
  const [, name] = /[#@] sourceMappingURL=(?!data:)(\S+)/.exec(readFileSync(join(folder, path), 'utf8').slice(-500)) ?? [];
  if (name === undefined) return [];
  const map = join(dirname(path), name);
  if (!existsSync(join(folder, map))) return [`${path} has its source map at ${map}, which is not in the package`];
  const { sources, sourcesContent = [] } = JSON.parse(readFileSync(join(folder, map), 'utf8')) as {
    sources: string[];
    sourcesContent?: unknown[];
  };
  const lost = sources.filter(
    (source, index) => typeof sourcesContent[index] !== 'string' && !existsSync(join(folder, dirname(map), source)),
  );
  return lost.map((source) => `${map} leads to ${source}, which is not in the package`);
}
