/** The results that are kept: `results.json`, and what is made of it, the picture and the tables in README.md. All are of one commit. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { plotOf, type Report } from './report.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDER = new URL('./results/', import.meta.url);
const JSON_FILE = new URL('results.json', FOLDER);
export const PLOT_FILE = new URL('deliveries.svg', FOLDER);
/** What a benchmark that is saved writes: it does not change what is measured. */
const WRITTEN = ['README.md', 'scripts/bench/results'];

/** The commit that is measured, and whether that is all that is measured. */
export function commitNow(): Report['commit'] {
  const git = (...args: string[]) => spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' }).stdout?.trim();
  const changes = git('status', '--porcelain', '--', '.', ...WRITTEN.map((path) => `:!${path}`));
  const id = git('rev-parse', 'HEAD') || undefined;
  return { id: id ?? 'unknown', isClean: id !== undefined && changes === '' };
}

export function readReport(): Report {
  return JSON.parse(readFileSync(JSON_FILE, 'utf8')) as Report;
}

/** Keeps a report. @param order of the workloads. */
export function saveReport(report: Report, order: readonly string[]): void {
  const before = existsSync(JSON_FILE) ? readReport() : undefined;
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(JSON_FILE, `${JSON.stringify(before === undefined ? report : joined(before, report, order), null, 1)}\n`);
}

/** A report, and of the one before it what is measured in that alone, when both are of one commit without changes, on one machine. */
export function joined(before: Report, report: Report, order: readonly string[]): Report {
  const isSame =
    report.commit.isClean &&
    before.commit.isClean &&
    before.commit.id === report.commit.id &&
    JSON.stringify(before.machine) === JSON.stringify(report.machine);
  const names = new Set(report.results.map(({ workload }) => workload));
  const kept = isSame ? before.results.filter(({ workload }) => !names.has(workload)) : [];
  const results = [...kept, ...report.results].sort((a, b) => order.indexOf(a.workload) - order.indexOf(b.workload));
  return { ...report, results };
}

/** Draws the picture. */
export function renderPlot(): void {
  const fanOut = readReport().results.find(({ workload }) => workload === 'fan-out');
  if (fanOut !== undefined) writeFileSync(PLOT_FILE, plotOf(fanOut));
}
