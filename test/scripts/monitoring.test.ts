/** The alert rules and the dashboard speak of metrics that exist, and every alert has its chapter. */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/folder.ts';
import { startProcess } from '../helpers/process.ts';

const path = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const alerts = readFileSync(path('scripts/monitoring/alerts.yml'), 'utf8');
const dashboard = JSON.parse(readFileSync(path('scripts/monitoring/grafana.json'), 'utf8')) as {
  panels: { title: string; description: string; targets: { expr: string }[] }[];
};
const manual = readFileSync(path('OPERATIONS.md'), 'utf8');

async function knownSeries(): Promise<Set<string>> {
  using folder = temporaryFolder();
  await using workers = await startProcess({ COURIER_WORKERS: '2', COURIER_LOG: `sqlite:${folder.file('courier.db')}` });
  const text = await (await fetch(`${workers.url}/metrics`)).text();
  const names = [...text.matchAll(/# TYPE (\S+) (\S+)/g)].flatMap(([, name = '', kind]) =>
    kind === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
  );
  return new Set(['up', ...names]);
}

const seriesIn = (expression: string) => [...expression.matchAll(/\b(?:courier|nodejs|process)_[a-z0-9_]+/g)].map(([name]) => name);

test('alerts and panels speak of metrics that exist', async () => {
  const known = await knownSeries();
  const used = [...seriesIn(alerts), ...dashboard.panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => seriesIn(expr)))];
  expect(used.length).toBeGreaterThan(25);
  expect(used.filter((name) => !known.has(name))).toEqual([]);
});

test('the manual lists every metric of Courier, and no other', async () => {
  const known = [...(await knownSeries())]
    .filter((name) => name.startsWith('courier_'))
    .map((name) => name.replace(/_(bucket|count|sum)$/, ''));
  const [, table = ''] = /## Metrics\n([\s\S]*?)\n## /.exec(manual) ?? [];
  const listed = [...table.matchAll(/^\| `(courier_\w+)`/gm)].map(([, name]) => name);
  expect(listed.sort()).toEqual([...new Set(known)].sort());
});

test('every alert has a chapter that says what to do', () => {
  const names = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name as string);
  expect(names.length).toBeGreaterThan(10);
  for (const name of names) {
    expect(manual).toMatch(new RegExp(`^### ${name}\\n\\n.{20}`, 'm'));
    expect(alerts).toContain(`runbook: OPERATIONS.md#${name.toLowerCase()}\n`);
  }
  expect([...manual.matchAll(/^### (Courier\w+)$/gm)].map(([, name]) => name)).toEqual(names);
});

test('every panel says what it shows', () => {
  for (const { title, description } of dashboard.panels) expect([title, description.length > 5]).toEqual([title, true]);
});

const canCheck = spawnSync('promtool', ['--version']).status === 0;

// Comes with Debian's package prometheus; without it the rules are only read above.
if (canCheck) {
  test('Prometheus takes the rules', () => {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'rules', path('scripts/monitoring/alerts.yml')], {
      encoding: 'utf8',
    });
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain('SUCCESS: 22 rules found');
  });

  test('an event that cannot be read is told, also where it was read before the first look at the metrics', () => {
    using folder = temporaryFolder();
    const series = (values: string) => ({ series: 'courier_gaps_total{reason="unreadable",instance="a"}', values });
    const summary = 'Stored events cannot be brought to the present form of their types';
    const alert = { exp_labels: { severity: 'ticket' }, exp_annotations: { summary, runbook: 'OPERATIONS.md#couriereventsunreadable' } };
    const told = (values: string, isTold: boolean) => ({
      interval: '1m',
      input_series: [series(values)],
      alert_rule_test: [{ eval_time: '10m', alertname: 'CourierEventsUnreadable', exp_alerts: isTold ? [alert] : [] }],
    });
    const tests = [told('_x2 3x60', true), told('0x4 1x60', true), told('0x60', false)];
    writeFileSync(folder.file('tests.json'), JSON.stringify({ rule_files: [path('scripts/monitoring/alerts.yml')], tests }));
    const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', folder.file('tests.json')], { encoding: 'utf8' });
    expect([status, stdout + stderr]).toEqual([0, expect.stringContaining('SUCCESS')]);
  });
}
