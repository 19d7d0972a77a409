/** A project of its own, outside of the tree, that has the packed client and compiles with it. */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const INSTALL = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'];

export interface Packed {
  /** The package. */
  readonly tarball: string;
  readonly version: string;
  /** The files in it. */
  readonly paths: readonly string[];
}

/** Packs what `npm test` has built before: building it here would take it from under other tests. */
export async function packClient(folder: string): Promise<Packed> {
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder, './client'];
  const listed = JSON.parse((await run('npm', pack, { cwd: ROOT })).stdout) as object;
  const [packed] = Object.values(listed) as [{ filename: string; version: string; files: { path: string }[] }];
  return { tarball: `${folder}/${packed.filename}`, version: packed.version, paths: packed.files.map(({ path }) => path) };
}

export interface Project {
  readonly path: string;
  write(name: string, text: string): void;
  install(...packages: readonly string[]): Promise<void>;
  /** Compiles its TypeScript files. @throws with what the compiler says. */
  compile(options?: object): Promise<void>;
}

export function makeProject(path: string): Project {
  mkdirSync(path);
  const write = (name: string, text: string) => writeFileSync(`${path}/${name}`, text);
  write('package.json', JSON.stringify({ name: 'project', private: true, type: 'module' }));
  return {
    path,
    write,
    install: async (...packages) => void (await run('npm', [...INSTALL, ...packages], { cwd: path })),
    compile: async (options = {}) => {
      const compilerOptions = {
        target: 'es2024',
        lib: ['es2024', 'esnext.disposable', 'dom'],
        module: 'nodenext',
        jsx: 'react-jsx',
        strict: true,
        noEmit: true,
        skipLibCheck: false,
        ...options,
      };
      write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['*.ts', '*.tsx'] }));
      await run(`${ROOT}node_modules/.bin/tsc`, ['-p', '.'], { cwd: path }).catch((error: { stdout?: string }) => {
        throw new Error(error.stdout, { cause: error });
      });
    },
  };
}
