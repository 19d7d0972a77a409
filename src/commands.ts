/** How whoever reads a message runs commands where this process runs: from a clone by npm's scripts, else as this process was started. */
import { existsSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';

/** An installed package and the image have no sources. */
export const IS_CLONE = existsSync(join(dirname(findPackageJSON(import.meta.url) as string), 'src'));

/** The command `courier` with these arguments. */
export function courier(args: string): string {
  if (IS_CLONE) return args === 'serve' ? 'npm start' : `npm run -s courier -- ${args}`;
  const [, started = ''] = process.argv;
  if (basename(started) !== 'courier') return `node ${relative('', started)} ${args}`;
  return basename(dirname(started)) === '.bin' ? `npx courier ${args}` : `courier ${args}`;
}
