/** The engine knows no contract: a service, a type or a family of the platform is named in the platform's contract only. */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { EVENT_TYPES, FAMILIES, SERVICE_NAMES } from '../helpers/lumiere.ts';

const SRC = fileURLToPath(new URL('../../src/', import.meta.url));
const FILES = globSync('**/*.ts', { cwd: SRC }).filter((path) => !path.startsWith('contracts/'));
const textOf = (path: string) => readFileSync(SRC + path, 'utf8');

test('no file of the engine names one of them', () => {
  const names = [...SERVICE_NAMES, ...EVENT_TYPES, ...FAMILIES.filter((family) => family !== 'global' && family !== 'user')];
  const word = new RegExp(`['"\`/](${names.map((name) => name.replaceAll('.', '\\.')).join('|')})['"\`/.]`);
  expect(FILES.length).toBeGreaterThan(100);
  const found = FILES.map((path) => [path, word.exec(textOf(path))?.[1]]).filter(([, name]) => name !== undefined);
  expect(found).toEqual([]);
});

test('one file imports it, for a type', () => {
  const imports = FILES.flatMap((path) => [...textOf(path).matchAll(/^.*from '[^']*contracts\/.*$/gm)].map(([line]) => `${path}: ${line}`));
  expect(imports).toEqual(["router/index.ts: import type { contract as lumiere } from '../contracts/lumiere/contract.ts';"]);
});
