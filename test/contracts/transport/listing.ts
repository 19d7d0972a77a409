/** What operators see of a connection. */
import { expect, test } from 'vitest';
import { startGateway } from '../../helpers/gateway.ts';
import type { TransportDriver } from '../../helpers/transports.ts';
import { publish } from './publishing.ts';
import { figuresOf } from './stall.ts';

export function describeListing({ subscribe, transport, name }: TransportDriver): void {
  test('it is counted and listed as long as it is there', async () => {
    await using gateway = await startGateway();
    const root = await gateway.token('root', 'admin');
    const { admin } = gateway.httpClient(root);
    const metrics = async () => {
      const text = await (await fetch(`${gateway.url}/metrics`)).text();
      const value = (metric: string) => Number(new RegExp(`^courier_${metric} (.*)$`, 'm').exec(text)?.[1] ?? 0);
      return [
        value(`connections_total{transport="${transport}"}`),
        value(`active_connections{transport="${transport}"}`),
        value(`disconnections_total{transport="${transport}",code="1013"}`),
      ];
    };
    const headers = { 'x-courier-client': 'suite/1.0' };
    await using peer = subscribe(gateway.port, { token: await gateway.token('reader', 'service'), channels: 'forge.**,global', headers });
    await peer.live();
    const [id] = await publish(gateway, 1);
    await peer.until(({ published }) => published.length === 1);
    expect(await figuresOf(gateway, 'reader')).toMatchObject({
      sub: 'reader',
      role: 'service',
      transport,
      address: '127.0.0.1',
      client: 'suite/1.0',
      subscriptions: 1,
      channels: ['forge.job.*', 'global'],
      lag: 0,
    });
    const recipients = await admin.recipients.query({ id: id ?? '', channel: 'forge.job.j', type: 'forge.job.completed' });
    expect(recipients).toMatchObject({ total: 1, recipients: [{ sub: 'reader', transport, handed: true }] });
    const stats = (await (await fetch(`${gateway.url}/stats`, { headers: { authorization: `Bearer ${root}` } })).json()) as object;
    expect(stats).toMatchObject({ connections: { total: 1, transport: { [transport]: 1 }, role: { service: 1 } }, subscriptions: 1 });
    expect([name, ...(await metrics())]).toEqual([name, 1, 1, 0]);
    await admin.disconnect.mutate({ connection_id: (await figuresOf(gateway, 'reader'))?.connection_id ?? '' });
    await peer.gone;
    await expect.poll(metrics).toEqual([1, 0, 1]);
    expect(await admin.connections.query()).toEqual({ total: 0, connections: [] });
  });
}
