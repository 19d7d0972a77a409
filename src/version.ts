/** The version of Courier, as its package says. */
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

export const VERSION: string = JSON.parse(readFileSync(findPackageJSON(import.meta.url) as string, 'utf8')).version;
