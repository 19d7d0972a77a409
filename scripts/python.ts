/**
 * `npm run test:python`: checks the Python client, in a virtual environment of its own that is made and kept up to date
 * here. With `-- --only pytest` (or another step's name) one step alone; what follows goes to it: `-- --only pytest -k cursor`.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../client/python/', import.meta.url));
const VENV = join(FOLDER, '.venv');
const PYTHON = join(VENV, 'bin', 'python');
/** Says what is installed. */
const STAMP = join(VENV, 'requirements.sha256');
const PYRIGHT = fileURLToPath(new URL('../node_modules/pyright/index.js', import.meta.url));
const LEAST_PYTHON = [3, 10] as const;

interface Step {
  readonly name: string;
  readonly run: (more: readonly string[]) => void;
}

const CHECKS: readonly Step[] = [
  { name: 'ruff', run: (more) => python('-m', 'ruff', 'check', '--quiet', ...more) },
  { name: 'format', run: () => python('-m', 'ruff', 'format', '--quiet', '--check', '.') },
  { name: 'mypy', run: (more) => python('-m', 'mypy', '--no-error-summary', ...more) },
  { name: 'pyright', run: (more) => run(process.execPath, [PYRIGHT, '--pythonpath', PYTHON, ...more]) },
  { name: 'pytest', run: (more) => python('-m', 'pytest', '--quiet', ...more) },
  { name: 'build', run: build },
];

/** Steps that are done only when they are named. */
const OTHERS: readonly Step[] = [
  // It is made before every step; alone for tests that run Python beside other things.
  { name: 'environment', run: () => undefined },
];

/** A step's program that ended with this. */
class Failed extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`ended with ${exitCode}`);
    this.exitCode = exitCode;
  }
}

function run(program: string, args: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): void {
  const { error, status } = spawnSync(program, args, { cwd: FOLDER, stdio: ['ignore', 'inherit', 'inherit'], ...options });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Failed(status ?? 1);
}

function python(...args: string[]): void {
  run(PYTHON, args);
}

/** Makes the environment, or brings it to what the requirements say. */
function prepare(): void {
  const requirements = readFileSync(join(FOLDER, 'requirements-dev.txt'), 'utf8');
  const wanted = createHash('sha256').update(requirements).digest('hex');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted && existsSync(PYTHON)) return;
  rmSync(VENV, { recursive: true, force: true });
  run(findPython(), ['-m', 'venv', VENV]);
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  python(...install, '--requirement', 'requirements-dev.txt');
  python(...install, '--no-deps', '--no-build-isolation', '--editable', '.');
  writeFileSync(STAMP, wanted);
}

/** The interpreter that the environment is made of: COURIER_PYTHON, or the first that will do. */
function findPython(): string {
  const [major, minor] = LEAST_PYTHON;
  const question = `import sys, venv, ensurepip; sys.exit(sys.version_info < (${major}, ${minor}))`;
  const candidates = process.env['COURIER_PYTHON'] === undefined ? ['python3', 'python'] : [process.env['COURIER_PYTHON']];
  const found = candidates.find((candidate) => spawnSync(candidate, ['-c', question], { stdio: 'ignore' }).status === 0);
  if (found !== undefined) return found;
  throw new Error(
    `there is no Python ${major}.${minor} or later with venv (tried ${candidates.join(', ')}): install it (on Debian and Ubuntu the packages python3 and python3-venv), or name it in COURIER_PYTHON`,
  );
}

/** As `run`, but what it prints is shown only when it fails. */
function runQuietly(program: string, args: readonly string[]): void {
  const { error, status, stdout, stderr } = spawnSync(program, args, { cwd: FOLDER, encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status === 0) return;
  process.stderr.write(`${stdout}${stderr}`);
  throw new Failed(status ?? 1);
}

/** Builds the sdist and the wheel, and imports what is in the wheel. */
function build(): void {
  const folder = mkdtempSync(join(tmpdir(), 'courier-python-'));
  try {
    runQuietly(PYTHON, ['-m', 'build', '--no-isolation', '--outdir', folder, '.']);
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
  prepare();
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
