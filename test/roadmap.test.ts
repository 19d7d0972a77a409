/** What `roadmap.md` says shows a criterion exists: the test by its title, the script by its name. */
import { readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const at = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const { scripts } = JSON.parse(readFileSync(at('package.json'), 'utf8')) as { readonly scripts: Readonly<Record<string, string>> };

const rows = readFileSync(at('test/roadmap.md'), 'utf8')
  .split('\n')
  .flatMap((line) => /^\| (?!criterion|---)(.+) \| (.+) \|$/.exec(line)?.slice(1, 3) ?? [])
  .flatMap((cell, index, cells) => (index % 2 === 0 ? [[cell, cells[index + 1] ?? ''] as const] : []));

/** Lines that give a test its title, in TypeScript and Python; those of a table begin with the end of the table. */
const TITLED = /^\s*(?:(?:test|describe)\b|\]\)\(|(?:async )?def test_)/;

/** Why a part of a cell shows nothing; undefined when it does. */
function problemOf(shown: string): string | undefined {
  const [, reference, title] = /^`([^`]+)`(?:: (.+))?$/.exec(shown) ?? [];
  if (reference === undefined) return 'it is no reference';
  const script = /^npm run (\S+)/.exec(reference)?.[1];
  if (script !== undefined) return script in scripts ? undefined : 'there is no such script';
  if (!statSync(at(reference), { throwIfNoEntry: false })?.isFile()) return 'there is no such file';
  if (title === undefined) return undefined;
  const lines = readFileSync(at(reference), 'utf8').split('\n');
  return lines.some((line) => TITLED.test(line) && line.includes(title)) ? undefined : 'there is no such test';
}

test('there are criteria', () => {
  expect(rows.length).toBeGreaterThan(30);
});

test.each(rows)('%s', (_criterion, shownBy) => {
  for (const shown of shownBy.split('; ')) expect([shown, problemOf(shown)]).toEqual([shown, undefined]);
});

test.each([
  ['test/roadmap.test.ts', 'it is no reference'],
  ['`test/roadmap.test.ts` there are criteria', 'it is no reference'],
  ['`test`', 'there is no such file'],
  ['`npm run nothing`', 'there is no such script'],
  ['`test/roadmap.test.ts`: expect(rows.length)', 'there is no such test'],
  ['`test/roadmap.test.ts`: there are criteria', undefined],
])('of %s: %s', (shown, problem) => {
  expect(problemOf(shown)).toBe(problem);
});
