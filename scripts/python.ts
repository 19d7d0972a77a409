/**
 * `npm run test:python`: checks the Python client, in a virtual environment of its own. With `-- --only pytest` (or
 * another step's name) one step alone; what follows goes to it: `-- --only pytest -k cursor`.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failed, run, runQuietly } from './programs.ts';
import { PYTHON, PYTHON_FOLDER, preparePython, python } from './python-environment.ts';
import { makeTemporaryFolder } from './temporary.ts';

const PYRIGHT = fileURLToPath(new URL('../node_modules/pyright/index.js', import.meta.url));

interface Step {
  readonly name: string;
  readonly run: (more: readonly string[]) => void;
}

const CHECKS: readonly Step[] = [
  { name: 'ruff', run: (more) => python('-m', 'ruff', 'check', '--quiet', ...more) },
  { name: 'format', run: () => python('-m', 'ruff', 'format', '--quiet', '--check', '.') },
  { name: 'mypy', run: (more) => python('-m', 'mypy', '--no-error-summary', ...more) },
  { name: 'pyright', run: (more) => run(process.execPath, [PYRIGHT, '--pythonpath', PYTHON, ...more], { cwd: PYTHON_FOLDER }) },
  { name: 'pytest', run: (more) => python('-m', 'pytest', '--quiet', ...more) },
  { name: 'build', run: build },
];

/** Steps that are done only when they are named. */
const OTHERS: readonly Step[] = [
  // It is made before every step; alone for tests that run Python beside other things.
  { name: 'environment', run: () => undefined },
];

/** Builds the sdist and the wheel, and imports what is in the wheel. */
function build(): void {
  const folder = makeTemporaryFolder('python');
  try {
    runQuietly(PYTHON, ['-m', 'build', '--no-isolation', '--outdir', folder, '.'], { cwd: PYTHON_FOLDER });
    const installed = join(folder, 'installed');
    const wheel = readdirSync(folder).find((name) => name.endsWith('.whl')) as string;
    python('-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--target', installed, join(folder, wheel));
    const check = [
      'import courier_client, pathlib',
      'folder = pathlib.Path(courier_client.__file__).parent',
      'assert folder.parent.name == "installed", folder',
      'assert (folder / "py.typed").exists()',
    ].join('; ');
    run(PYTHON, ['-c', check], { cwd: folder, env: { ...process.env, PYTHONPATH: installed } });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function main([option, name, ...more]: readonly string[]): void {
  const all = [...CHECKS, ...OTHERS];
  const steps = option === undefined ? CHECKS : all.filter((step) => option === '--only' && step.name === name);
  if (steps.length === 0) throw new Error(`the only option is --only, with one of ${all.map((step) => step.name).join(', ')}`);
  preparePython();
  for (const step of steps) {
    const startedAt = performance.now();
    try {
      step.run(more);
    } catch (error) {
      process.stderr.write(`python: ${step.name} failed\n`);
      throw error;
    }
    process.stdout.write(`python: ${step.name} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)\n`);
  }
}

try {
  main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Failed)) process.stderr.write(`python: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof Failed ? error.exitCode : 2;
}
