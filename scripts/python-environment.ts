/** The Python client's virtual environment, which is made and kept up to date here. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './programs.ts';

export const PYTHON_FOLDER = fileURLToPath(new URL('../client/python/', import.meta.url));
const VENV = join(PYTHON_FOLDER, '.venv');
/** Its interpreter. */
export const PYTHON = join(VENV, 'bin', 'python');
/** Says what is installed. */
const STAMP = join(VENV, 'requirements.sha256');
/** Has the id of the process that makes it. */
const TURN = join(PYTHON_FOLDER, '.venv.turn');
/** How often a process that waits looks again, in ms. */
const LOOK_MS = 200;
const LEAST_PYTHON = [3, 10] as const;

/** Runs Python in the folder of the client. */
export function python(...args: string[]): void {
  run(PYTHON, args, { cwd: PYTHON_FOLDER });
}

/** Makes the environment, or brings it to what the requirements say; waits where another process does so. */
export function preparePython(): void {
  const requirements = readFileSync(join(PYTHON_FOLDER, 'requirements-dev.txt'), 'utf8');
  const wanted = createHash('sha256').update(requirements).digest('hex');
  const isReady = () => existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted && existsSync(PYTHON);
  while (!isReady()) {
    if (!takeTurn()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_MS);
    else {
      try {
        if (!isReady()) make(wanted);
      } finally {
        rmSync(TURN);
      }
    }
  }
}

/** Whether it is this process that makes the environment. */
function takeTurn(): boolean {
  try {
    writeFileSync(TURN, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    if (!isTaken()) rmSync(TURN, { force: true });
    return false;
  }
}

/** Whether the process whose turn it is runs. One that has yet to write its id has the 0 of this group, which does. */
function isTaken(): boolean {
  try {
    return process.kill(Number(readFileSync(TURN, 'utf8')), 0);
  } catch {
    return false;
  }
}

function make(wanted: string): void {
  const interpreter = findPython();
  console.error('making client/python/.venv, which takes up to a minute');
  rmSync(VENV, { recursive: true, force: true });
  run(interpreter, ['-m', 'venv', VENV], { cwd: PYTHON_FOLDER });
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
