/** The health of several workers as one: it serves as long as one of them does, and says whose trouble it is. */
import { expect, test } from 'vitest';
import type { Component, Health, HealthStatus } from '../../src/contract/admin.ts';
import { mergeHealth } from '../../src/observe/merged-health.ts';

const WORKERS = { startedAt: Date.now() - 5000, configured: 2, running: 2, restarts: 0, problem: undefined, draining: false };

function told(worker: number, components: Record<string, Component>) {
  const server = { status: 'healthy' as const, connections: 3, active_connections: 3, active_channels: 2, event_loop_late_ms: worker };
  const errors = { status: 'healthy' as const, last_minute: 2, share_of_calls: 0 };
  const health = {
    status: 'healthy',
    timestamp: '',
    uptime: 1,
    version: '1',
    components: { websocket_server: server, errors, ...components },
  };
  return { worker, health: health as unknown as Health };
}

test('counts are added up, and the gateway is as old as its supervisor', () => {
  const health = mergeHealth([told(1, {}), told(2, {})], WORKERS);
  expect(health).toMatchObject({
    status: 'healthy',
    components: {
      websocket_server: { connections: 6, active_connections: 6 },
      errors: { last_minute: 4 },
      workers: { status: 'healthy', running: 2, configured: 2, restarts: 0 },
    },
  });
  expect(health.uptime).toBeGreaterThanOrEqual(5);
});

test.each<[HealthStatus, HealthStatus, HealthStatus]>([
  ['healthy', 'degraded', 'degraded'],
  ['healthy', 'unhealthy', 'degraded'],
  ['degraded', 'unhealthy', 'degraded'],
  ['unhealthy', 'unhealthy', 'unhealthy'],
  ['healthy', 'shutting_down', 'degraded'],
  ['unhealthy', 'shutting_down', 'unhealthy'],
  ['shutting_down', 'shutting_down', 'shutting_down'],
])('%s and %s are %s', (one, other, together) => {
  const components = (status: HealthStatus) => ({ memory: { status, ...(status !== 'healthy' && { action: status }) } });
  for (const [first, second] of [
    [one, other],
    [other, one],
  ] as const) {
    const health = mergeHealth([told(1, components(first)), told(2, components(second))], WORKERS);
    expect([health.status, health.components.memory.status]).toEqual([together, together]);
  }
});

test('what one worker has is said to be of that one, and what all have is not', () => {
  const trouble = { memory: { status: 'degraded' as const, action: 'give it more' } };
  const actionOf = (health: Health) => health.components.memory.action;
  expect(actionOf(mergeHealth([told(1, { memory: { status: 'healthy' } }), told(2, trouble)], WORKERS))).toBe('worker 2: give it more');
  expect(actionOf(mergeHealth([told(1, trouble), told(2, trouble)], WORKERS))).toBe('give it more');
});

test('workers that do not answer, do not serve or drain are told', () => {
  const workersOf = (told_: ReturnType<typeof told>[], workers: Omit<Partial<typeof WORKERS>, 'problem'> & { problem?: string }) =>
    mergeHealth(told_, { ...WORKERS, ...workers }).components.workers;
  expect(workersOf([told(1, {})], {})).toMatchObject({ status: 'degraded', action: '1 of 2 workers do not answer: look at what they log' });
  expect(workersOf([told(1, {})], { running: 1, problem: 'one is away' })).toMatchObject({ status: 'degraded', action: 'one is away' });
  expect(workersOf([told(1, {}), told(2, {})], { draining: true })).toMatchObject({ status: 'shutting_down' });
});
