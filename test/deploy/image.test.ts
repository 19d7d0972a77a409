/** The image: what is in it, and that it runs as the examples run it. Linux, as root. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../helpers/folder.ts';
import { SECRET } from '../helpers/gateway.ts';
import { processToken } from '../helpers/process.ts';
import { buildImage, type Container, type Image } from './image.ts';

const BUILD_MS = 300_000;
const COURIER = ['node', 'dist/scripts/courier.js'];
const isRootOnLinux = process.platform === 'linux' && process.getuid?.() === 0;
const own = JSON.parse(readFileSync(fileURLToPath(new URL('../../package.json', import.meta.url)), 'utf8')) as {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
};

describe.runIf(isRootOnLinux)('the image', () => {
  let image: Image;
  beforeAll(async () => {
    image = await buildImage();
  }, BUILD_MS);
  afterAll(() => image?.[Symbol.asyncDispose]());

  const inImage = (path: string) => readdirSync(join(image.root, path)).sort();
  const healthy = (container: Container) => container.execute(image.config.Healthcheck.Test.slice(1));

  test('has what runs, and neither tests, sources, tools nor secrets', () => {
    expect(inImage('app')).toEqual(['client', 'data', 'dist', 'node_modules', 'package-lock.json', 'package.json']);
    expect([inImage('app/client'), inImage('app/client/dashboard')]).toEqual([['dashboard'], ['dist']]);
    const installed = inImage('app/node_modules').flatMap((name) =>
      name.startsWith('@') ? inImage(`app/node_modules/${name}`).map((below) => `${name}/${below}`) : name,
    );
    expect(installed).toEqual(expect.arrayContaining(Object.keys(own.dependencies)));
    expect(installed.filter((name) => name in own.devDependencies)).toEqual([]);
    for (const folder of ['app/data', 'root/.npm', 'tmp']) expect(inImage(folder)).toEqual([]);
    const names = readdirSync(join(image.root, 'app'), { recursive: true, encoding: 'utf8' }).filter(
      (path) => !path.startsWith('node_modules/'),
    );
    expect(names.filter((path) => /\.(key|pem|crt|env|db)$|secret$|(?<!\.d)\.tsx?$/.test(path))).toEqual([]);
    expect(image.config.Env.map((line) => line.split('=')[0])).toEqual(['PATH', 'NODE_ENV', 'COURIER_HOST']);
    expect(image.config).toMatchObject({ User: 'node', ExposedPorts: { '8766/tcp': {} } });
  });

  test('says what it lacks, and ends', async () => {
    await using container = image.start({});
    await container.line(/COURIER_JWT_SECRET or COURIER_JWKS_URL must be set/);
    expect(await container.ended).toBe(2);
  });

  test('runs as nobody special on files that cannot be written to, is healthy, and ends with 0', async () => {
    const env = { COURIER_LOG: 'memory:', COURIER_JWT_SECRET: SECRET, COURIER_BASE_PATH: '/courier' };
    await using container = image.start({ env });
    await container.line(/listening on/);
    expect(await healthy(container)).toEqual({ code: 0, output: '' });
    const look = `const { readFileSync } = require('node:fs');
      const status = readFileSync('/proc/self/status', 'utf8');
      const page = await fetch('http://127.0.0.1:8766/courier/admin/');
      console.log(process.getuid(), process.getgroups().join(), /CapEff:\\s+(\\S+)/.exec(status)[1], page.status, (await page.text()).includes('<script'));
      require('node:fs').writeFileSync('/app/here', '');`;
    const { code, output } = await container.execute(['node', '-e', `(async () => {${look}})()`]);
    expect([code, output]).toEqual([1, expect.stringMatching(/^1000 1000 0{16} 200 true\n[\s\S]*EROFS/)]);
    container.signal('SIGTERM');
    expect(await container.ended).toBe(0);
  });

  test('is not healthy when nothing answers', async () => {
    const env = { COURIER_LOG: 'memory:', COURIER_JWT_SECRET: SECRET, COURIER_PORT: '8767' };
    await using container = image.start({ env });
    await container.line(/listening on/);
    expect(await healthy(container)).toEqual({ code: 1, output: '' });
  });

  test('keeps the log in its volume', async () => {
    using volume = temporaryFolder();
    const token = await processToken('forge', 'service');
    const start = () => image.start({ env: { COURIER_JWT_SECRET: SECRET }, volume: volume.path });
    const asForge = { COURIER_URL: 'http://127.0.0.1:8766', COURIER_TOKEN: token };
    {
      await using container = start();
      await container.line(/listening on/);
      const event = ['forge.job.j', 'forge.job.started', '{"job_id":"j","kind":"k"}'];
      expect(await container.execute([...COURIER, 'publish', ...event], asForge)).toMatchObject({ code: 0 });
      container.signal('SIGTERM');
      expect(await container.ended).toBe(0);
    }
    await using container = start();
    await container.line(/listening on/);
    const { output } = await container.execute([...COURIER, 'history', 'forge.job.j'], asForge);
    expect(output).toContain('forge.job.started');
  });
});
