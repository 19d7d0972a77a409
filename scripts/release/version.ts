/** The version of the packages: one for all, as clients and gateway tell it to each other. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Refused } from './registry.ts';

const PLACES: Readonly<Record<string, RegExp>> = {
  'package.json': /^ {2}"version": "(.*)"/m,
  'client/package.json': /^ {2}"version": "(.*)"/m,
  'client/src/version.ts': /VERSION = '(.*)'/,
  'client/python/courier_client/_version.py': /__version__ = "(.*)"/,
};

/** @throws {Refused} when the packages of the tree at `root` disagree, or npm and Python would write the version in two ways. */
export function agreedVersion(root: string): string {
  const versions = Object.entries(PLACES).map(
    ([path, pattern]) => [path, pattern.exec(readFileSync(join(root, path), 'utf8'))?.[1]] as const,
  );
  const [version, ...others] = new Set(versions.map(([, found]) => found));
  if (others.length > 0)
    throw new Refused(`the versions disagree:\n${versions.map(([path, found]) => `${path}: ${found ?? 'none'}`).join('\n')}`);
  if (version === undefined || !/^\d+\.\d+\.\d+$/.test(version))
    throw new Refused(`the version is ${version}: it must be of the form 1.2.3`);
  return version;
}
