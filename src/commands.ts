/** How whoever reads a message runs commands where this process runs: from a clone by npm's scripts, else by the package's own program. */
import { existsSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** An installed package and the image have no sources. */
export const IS_CLONE = existsSync(join(dirname(findPackageJSON(import.meta.url) as string), 'src'));
/** Seen from `dist/src`, which is all that there is where this is no clone. */
const PROGRAM = fileURLToPath(new URL('../scripts/courier.js', import.meta.url));

/** The command `courier` with these arguments. What was started may be another program, which takes none of them. */
export function courier(args: string): string {
  if (IS_CLONE) return args === 'serve' ? 'npm start' : `npm run -s courier -- ${args}`;
  const [, started = ''] = process.argv;
  if (basename(started) !== 'courier') return `node ${relative('', PROGRAM)} ${args}`;
  return basename(dirname(started)) === '.bin' ? `npx courier ${args}` : `courier ${args}`;
}
