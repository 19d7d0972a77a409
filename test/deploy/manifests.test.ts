/** The examples for Compose and Kubernetes: each is valid, and says of the gateway what is so. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Deployment, type IDeployment } from 'kubernetes-models/apps/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { Service } from 'kubernetes-models/v1';
import { expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { parseConfig, unknownVariables } from '../../src/config.ts';
import { startGateway } from '../helpers/gateway.ts';

const read = (name: string) => readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), 'utf8');
const dockerfile = read('scripts/deploy/Dockerfile');
const nginx = read('scripts/deploy/nginx.conf');
/** What the image listens on. */
const [, port] = /^EXPOSE (\d+)$/m.exec(dockerfile) ?? [];
/** What the secrets of both examples are for. */
const SECRETS = {
  COURIER_JWT_SECRET: 'x'.repeat(32),
  COURIER_LOG: 'postgres://courier@postgres/courier',
  COURIER_BROKER: 'redis://redis:6379',
};

interface ComposeService {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: readonly string[] | Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: unknown;
  readonly stop_grace_period?: string;
}
interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const compose = parse(read('scripts/deploy/compose.yaml'), { merge: true }) as Compose;
const kubernetes = parseAllDocuments(read('scripts/deploy/kubernetes.yaml')).map((document) => document.toJS() as { kind: string });
const ofKind = <T>(kind: string) => kubernetes.find((document) => document.kind === kind) as T;
const deployment = ofKind<IDeployment>('Deployment');
const pod = deployment.spec?.template.spec;
const container = pod?.containers[0];
const variablesOf = () => Object.fromEntries((container?.env ?? []).map(({ name, value = '' }) => [name, value]));

test('Kubernetes takes every document', () => {
  expect(kubernetes.map(({ kind }) => kind)).toEqual(['Deployment', 'Service', 'PodDisruptionBudget']);
  for (const Kind of [Deployment, Service, PodDisruptionBudget]) {
    expect(() => new Kind(ofKind<never>(Kind.name)).validate()).not.toThrow();
  }
  expect(() => new Deployment({ ...deployment, spec: { ...deployment.spec, replicas: '3' } as never }).validate()).toThrow(/replicas/);
});

test('Kubernetes finds the pods, the port, and what the probes ask for', async () => {
  const labels = deployment.spec?.template.metadata?.labels;
  expect(deployment.spec?.selector.matchLabels).toEqual(labels);
  expect(ofKind<{ spec: { selector: unknown } }>('Service').spec.selector).toEqual(labels);
  expect(ofKind<{ spec: { selector: { matchLabels: unknown } } }>('PodDisruptionBudget').spec.selector.matchLabels).toEqual(labels);
  expect(container?.ports).toEqual([{ name: 'http', containerPort: Number(port) }]);
  const scraped = deployment.spec?.template.metadata?.annotations ?? {};
  expect(scraped['prometheus.io/port']).toBe(port);
  const paths = [scraped['prometheus.io/path'], container?.livenessProbe?.httpGet?.path, container?.readinessProbe?.httpGet?.path];
  await using gateway = await startGateway({ COURIER_BASE_PATH: variablesOf()['COURIER_BASE_PATH'] as string });
  const origin = new URL(gateway.url).origin;
  const statuses = await Promise.all(paths.map(async (path) => (await fetch(`${origin}${path}`)).status));
  expect(statuses).toEqual([200, 200, 200]);
});

test('Kubernetes gives the gateway a configuration, and time to drain', () => {
  const variables = variablesOf();
  const config = parseConfig({ NODE_ENV: 'production', ...SECRETS, ...variables });
  expect(unknownVariables(variables)).toEqual([]);
  expect(config).toMatchObject({ basePath: '/courier', trustedProxies: [expect.anything()] });
  const [, pauseSeconds] = container?.lifecycle?.preStop?.exec?.command ?? [];
  // A second more than that is what the gateway takes at most.
  expect((pod?.terminationGracePeriodSeconds ?? 0) * 1000).toBeGreaterThan(Number(pauseSeconds) * 1000 + config.drainMs + 1000);
  expect(pod?.enableServiceLinks).toBe(false);
});

test('Compose builds the image, and names what is there', () => {
  const gateways = ['courier-1', 'courier-2'].map((name) => compose.services[name]);
  for (const gateway of gateways) {
    expect(gateway?.build).toEqual({ context: '../..', dockerfile: 'scripts/deploy/Dockerfile' });
    // A gateway starts without Redis.
    expect(gateway?.depends_on).toEqual({ postgres: { condition: 'service_healthy' }, redis: { condition: 'service_started' } });
    expect(compose.services['postgres']?.healthcheck).toBeDefined();
  }
  // What nginx is given, and what it looks for.
  const servers = [...nginx.matchAll(/^ {2}server (\S+):(\d+) /gm)].map(([, host, at]) => [host, at]);
  expect(servers).toEqual([
    ['courier-1', port],
    ['courier-2', port],
  ]);
  const [, listened] = /^ {2}listen (\d+) ssl;$/m.exec(nginx) ?? [];
  expect(compose.services['nginx']?.ports).toEqual([`${listened}:${listened}`]);
  const mounts = (compose.services['nginx']?.volumes ?? []).map((volume) => volume.split(':')[1]);
  expect(mounts).toEqual(['/etc/nginx/conf.d/default.conf', '/etc/nginx/tls']);
  for (const [, file] of nginx.matchAll(/ssl_certificate\S* (\S+);/g)) expect(file).toMatch(/^\/etc\/nginx\/tls\//);
  expect(Object.keys(compose.volumes)).toEqual(['postgres']);
});

test('Compose gives the gateway a configuration, and time to drain', () => {
  const { environment = {}, stop_grace_period: grace } = compose.services['courier-1'] ?? {};
  const variables = { ...environment, COURIER_JWT_SECRET: SECRETS.COURIER_JWT_SECRET };
  const config = parseConfig({ NODE_ENV: 'production', ...variables });
  expect(unknownVariables(variables)).toEqual([]);
  expect(config).toMatchObject({ basePath: '/courier', port: Number(port), trustedProxies: expect.arrayContaining([expect.anything()]) });
  expect(Number.parseInt(grace ?? '', 10) * 1000).toBeGreaterThan(config.drainMs + 1000);
  // Without the secret it does not start.
  expect(environment['COURIER_JWT_SECRET']).toMatch(/^\$\{COURIER_JWT_SECRET:\?/);
});
