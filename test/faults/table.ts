/** Prints what the fault tests counted, as a table. */
import type { Reporter, TestModule } from 'vitest/node';

const COLUMNS = ['acknowledged', 'stored', 'received', 'lost', 'duplicated', 'reordered', 'peak memory'];

export const faultTable: Reporter = {
  onTestRunEnd(modules: readonly TestModule[]) {
    const lines = modules
      .flatMap((module) => [...module.children.allTests()])
      .flatMap((test) => test.meta().fault ?? [])
      .sort((a, b) => a.row - b.row);
    if (lines.length === 0) return;
    const cells = lines.map(({ row, fault, figures }) => [
      String(row),
      fault,
      ...COLUMNS.map((column) => String(figures[column] ?? '')),
      Object.entries(figures)
        .filter(([name]) => !COLUMNS.includes(name))
        .map(([name, value]) => `${name} ${value}`)
        .join(', '),
    ]);
    const table = [['row', 'fault', ...COLUMNS, 'also'], ...cells];
    const widths = table[0]?.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0))) ?? [];
    // Figures stand to the right, words to the left.
    const isWord = (column: number) => column === 1 || column === widths.length - 1;
    for (const line of table) {
      const text = line.map((cell, column) => (isWord(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)));
      process.stdout.write(`${text.join('  ').trimEnd()}\n`);
    }
  },
};
