/** What `roadmap.md` says shows a criterion exists: the test by its title, the script by its name. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const at = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const { scripts } = JSON.parse(readFileSync(at('package.json'), 'utf8')) as { readonly scripts: Readonly<Record<string, string>> };

const rows = readFileSync(at('test/roadmap.md'), 'utf8')
  .split('\n')
  .flatMap((line) => /^\| (?!criterion|---)(.+) \| (.+) \|$/.exec(line)?.slice(1, 3) ?? [])
  .flatMap((cell, index, cells) => (index % 2 === 0 ? [[cell, cells[index + 1] ?? ''] as const] : []));

test('there are criteria', () => {
  expect(rows.length).toBeGreaterThan(30);
});

test.each(rows)('%s', (_criterion, shownBy) => {
  for (const shown of shownBy.split('; ')) {
    const [, reference = '', title] = /^`([^`]+)`(?:: (.+))?$/.exec(shown) ?? [];
    const script = /^npm run (\S+)/.exec(reference)?.[1];
    if (script !== undefined) {
      expect(scripts).toHaveProperty([script]);
      continue;
    }
    expect(existsSync(at(reference)), `${shown} exists`).toBe(true);
    if (title !== undefined) expect(readFileSync(at(reference), 'utf8')).toContain(title);
  }
});
