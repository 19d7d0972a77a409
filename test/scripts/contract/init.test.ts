/** `courier contract init`, in a project that has Courier as a package. */
import { execFile, execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CONTRACT_FORMATS } from '../../../scripts/cli/contract.ts';
import { ENVIRONMENT } from '../../helpers/environment.ts';
import { temporaryFolder } from '../../helpers/folder.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const TSC = `${ROOT}node_modules/typescript/bin/tsc`;
const PACKAGE = 'node_modules/@lumiere/courier';
/** Where npm puts it, and `npx courier` finds it. */
const COMMAND = 'node_modules/.bin/courier';

/** The client, as it is here and not as it was built last. */
const CLIENT = { '@lumiere/courier-client/react': [`${ROOT}client/src/react.ts`] };

/** What the client's README has of a form. */
function documented(form: RegExp): string[] {
  return [...readFileSync(`${ROOT}client/README.md`, 'utf8').matchAll(form)].map(([, part = '']) => part);
}

const PROGRAM = `import { createGateway, parseConfig } from '@lumiere/courier';
import type { ContractTypes } from '@lumiere/courier/contract';
import contract from './contract.ts';

type Types = (typeof contract)['~types'] & ContractTypes;
const type: keyof Types['data'] = 'order.placed';
// @ts-expect-error there is no such type
const other: keyof Types['data'] = 'order.lost';
const config = parseConfig({ COURIER_LOG: 'memory:', COURIER_PORT: '0', COURIER_LOG_LEVEL: 'error' });
await using gateway = await createGateway(config, { contract });
const { 'x-name': name } = await (await fetch(\`\${gateway.url}/contract.json\`)).json() as { 'x-name': string };
console.log(name, type, other);
`;

describe('a project with the package', { timeout: 120_000 }, () => {
  const project = temporaryFolder();
  afterAll(() => project[Symbol.dispose]());

  beforeAll(() => {
    mkdirSync(project.file(PACKAGE), { recursive: true });
    copyFileSync(`${ROOT}package.json`, project.file(`${PACKAGE}/package.json`));
    symlinkSync(`${ROOT}node_modules`, project.file(`${PACKAGE}/node_modules`));
    execFileSync(process.execPath, [TSC, '-p', `${ROOT}tsconfig.build.json`, '--outDir', project.file(`${PACKAGE}/dist`)]);
    mkdirSync(project.file('node_modules/.bin'));
    symlinkSync('../@lumiere/courier/dist/scripts/courier.js', project.file(COMMAND));
    symlinkSync(`${ROOT}node_modules/@types`, project.file('node_modules/@types'));
    writeFileSync(project.file('package.json'), '{"type":"module"}');
  }, 120_000);

  const node = (...args: string[]) =>
    new Promise<{ code: number | string; stdout: string; stderr: string }>((resolve) => {
      const options = { cwd: project.path, env: { ...ENVIRONMENT, NO_COLOR: '1', COURIER_LOG: 'memory:' } };
      execFile(process.execPath, args, options, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }));
    });
  const courier = (...args: string[]) => node(COMMAND, ...args);

  /** With the options that the client's README gives, and stricter ones. */
  const compile = (...files: string[]) => {
    const { compilerOptions } = JSON.parse(documented(/```json\n([\s\S]*?)```/g)[0] as string) as { compilerOptions: object };
    const options = { ...compilerOptions, exactOptionalPropertyTypes: true, noUnusedLocals: true, paths: CLIENT };
    writeFileSync(project.file('tsconfig.json'), JSON.stringify({ compilerOptions: options, files }));
    return node(TSC);
  };

  test('gets a contract that is right, and is told what comes next', async () => {
    const made = await courier('contract', 'init');
    expect(made).toMatchObject({ code: 0, stderr: '' });
    expect(made.stdout.match(/npx courier [a-z ]+--contract contract\.ts/g)).toHaveLength(4);
    expect(await courier('serve', '--contract', './contract.ts', '--check')).toMatchObject({ code: 0 });
    for (const format of CONTRACT_FORMATS)
      expect(await courier('contract', 'export', '--contract', 'contract.ts', '--format', format)).toMatchObject({ code: 0, stderr: '' });
    expect(await courier('contract', 'renew', '--contract', 'contract.ts')).toMatchObject({ code: 0 });
    expect(await courier('contract', 'check', '--contract', 'contract.ts')).toMatchObject({ code: 0 });
  });

  test('has types of it, and can serve it from a program', async () => {
    writeFileSync(project.file('program.ts'), PROGRAM);
    expect(await compile('program.ts', 'contract.ts')).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await node('program.ts')).toEqual({ code: 0, stdout: 'shop order.placed order.lost\n', stderr: '' });
  });

  test('exports types and hooks that fit together, with the commands as they are documented', async () => {
    const commands = documented(/^npx courier (contract export .*?)(?: +#.*)?$/gm);
    expect(commands).toHaveLength(2);
    for (const command of commands) {
      const args = command.split(' ');
      expect(await courier(...args)).toEqual({ code: 0, stdout: '', stderr: `${args.at(-1)} is written\n` });
    }
    expect(await compile('hooks.ts', 'events.ts')).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('says by example how stored events become another form', async () => {
    const source = readFileSync(project.file('contract.ts'), 'utf8');
    const example = [...source.matchAll(/^ {6}\/\/ {3}(.*)$/gm)].map(([, line]) => line).join('\n');
    const changed = source
      .replace('defineService, id', 'defineService, earlierVersion, id')
      .replace(/ {6}data: .*carrier.*\n {6}examples: .*carrier.*\n/, `${example}\n`);
    expect(changed).not.toBe(source);
    writeFileSync(project.file('later.ts'), changed);
    copyFileSync(project.file('contract.snapshot.json'), project.file('later.snapshot.json'));
    expect(await compile('later.ts')).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await courier('contract', 'renew', '--contract', 'later.ts', '--breaking', 'It is a company.')).toMatchObject({ code: 0 });
  });

  test('is told of commands that there are in it', async () => {
    const args = ['health', '--url', 'http://127.0.0.1:1', '--token', 'any'];
    const hint = (command: string) => ({ code: 1, stderr: expect.stringContaining(`start a gateway with \`${command} serve\``) });
    expect(await courier(...args)).toMatchObject(hint('npx courier'));
    expect(await node(`${PACKAGE}/dist/scripts/courier.js`, ...args)).toMatchObject(hint(`node ${PACKAGE}/dist/scripts/courier.js`));
    const refused = await node(`${PACKAGE}/dist/src/main.js`, '--port', '1');
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(`\`node ${PACKAGE}/dist/scripts/courier.js serve --help\``) });
    const [, advised = ''] = /`node (.*)`/.exec(refused.stderr) ?? [];
    expect(await node(...advised.split(' '))).toMatchObject({ code: 0, stdout: expect.stringContaining('COURIER_PORT') });
  });

  test('quotes names for the shell', async () => {
    const { stdout } = await courier('contract', 'init', "$(id) it's.ts");
    expect(stdout).toContain("npx courier serve --contract '$(id) it'\\''s.ts' --check\n");
    copyFileSync(project.file('contract.ts'), project.file('$(id).ts'));
    expect(await courier('contract', 'check', '--contract', '$(id).ts')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(": npx courier contract renew --contract '$(id).ts'\n"),
    });
  });

  test('loses nothing that is there', async () => {
    const before = readFileSync(project.file('contract.ts'), 'utf8');
    const refusal = (reason: string) => ({ code: 1, stdout: '', stderr: `courier: ${reason}\n` });
    expect(await courier('contract', 'init')).toEqual(refusal('contract.ts is there already, and is not overwritten'));
    writeFileSync(project.file('mine.ts'), 'export {};');
    expect(await courier('contract', 'init', 'mine.ts')).toMatchObject({
      code: 1,
      stderr: 'courier: mine.ts is there already, and is not overwritten\n',
    });
    expect(readFileSync(project.file('contract.ts'), 'utf8')).toBe(before);
    expect(await courier('contract', 'init', 'contract.txt')).toMatchObject({ code: 2 });
    expect(await courier('contract', 'init', 'nowhere/contract.ts')).toMatchObject({
      code: 1,
      stderr: 'courier: nowhere/contract.ts cannot be written: there is no folder nowhere\n',
    });
  });

  test('gets what runs, and no tests or sources', () => {
    const packed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: project.file(PACKAGE),
      encoding: 'utf8',
    });
    const listed: unknown = JSON.parse(packed);
    const [{ files }] = (Array.isArray(listed) ? listed : Object.values(listed as object)) as [{ files: { path: string }[] }];
    const paths = files.map(({ path }) => path);
    for (const path of ['dist/src/index.js', 'dist/src/index.d.ts', 'dist/src/contract/index.js', 'dist/scripts/courier.js'])
      expect(paths).toContain(path);
    expect(paths.filter((path) => !/^(dist\/.*(\.js|\.d\.ts)|package\.json)$/.test(path))).toEqual([]);
  });
});
