/** What the browser tests of the hooks begin with: pages, signed in to gateways, and somebody who publishes. */
import type { TRPCClient } from '@trpc/client';
import { expect } from 'vitest';
import type { Contract } from '../../../src/contract/contract.ts';
import { contract as lumiere } from '../../../src/contracts/lumiere/contract.ts';
import type { AppRouter } from '../../../src/router/index.ts';
import { launchChromium } from '../../helpers/chromium.ts';
import { startGateway, type TestGateway } from '../../helpers/gateway.ts';
import { type OpenPage, openPage, type Shown } from './open-page.ts';
import type { View } from './page.ts';
import { type ReactVersion, startSite } from './site.ts';

/** How long something may take to be seen, and how often it is looked for, in ms. */
const POLL = { timeout: 10_000, interval: 20 };

export interface Scene extends AsyncDisposable {
  readonly gateway: TestGateway;
  readonly page: OpenPage;
  /** Of an admin, elsewhere. */
  readonly trpc: TRPCClient<AppRouter>;
}

export interface Stage extends AsyncDisposable {
  /** Of the pages, for COURIER_ALLOWED_ORIGINS. */
  readonly origin: string;
  open(react: ReactVersion): Promise<OpenPage>;
  /** A page whose client has a token of a gateway of its own; an admin's by default. Lumiere's contract unless another is given. */
  signedIn(react: ReactVersion, token?: (gateway: TestGateway) => Promise<string>, contract?: Contract): Promise<Scene>;
}

export async function setStage(): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const site = stack.use(await startSite());
  const browser = stack.use(await launchChromium());
  const open = (react: ReactVersion) => openPage(browser, site.page(react));
  const kept = stack.move();
  return {
    origin: site.origin,
    open,
    signedIn: async (react, token = (gateway) => gateway.token('ada', 'admin'), contract = lumiere) => {
      await using own = new AsyncDisposableStack();
      const gateway = own.use(await startGateway({ COURIER_ALLOWED_ORIGINS: site.origin }, {}, { contract }));
      const { trpc } = own.use(gateway.webSocketClient(await gateway.token('root', 'admin')));
      const page = own.use(await open(react));
      expect(page.version).toMatch(`${react}.`);
      await page.drive.start({ url: gateway.url, token: await token(gateway) });
      const scene = own.move();
      return { gateway, page, trpc, [Symbol.asyncDispose]: () => scene.disposeAsync() };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A view of channels. */
export function channelView(name: string, channels: string | readonly string[] | null, options: object = {}): View {
  return { name, hook: 'useChannel', args: [channels], options };
}

/** What `read` comes to give. */
export function eventually<T>(read: () => T | Promise<T>) {
  return expect.poll(read, POLL);
}

/** What a view comes to show. */
export function shown<T = Shown>(page: OpenPage, view: string) {
  return eventually(() => page.shown<T>(view));
}

/** The bars of the events that a view comes to show. */
export function shownBars(page: OpenPage, view: string) {
  return eventually(async () => {
    const state = await page.shown(view);
    return state?.events.map((event) => (event.type === 'backtest.progress' ? event.data.bars_processed : event.type));
  });
}

/** The ids that `onEvent` of a view was called with so far. */
export async function heard(page: OpenPage, view: string): Promise<string[]> {
  const record = await page.drive.record(view);
  return record?.heard.map(([, id]) => id) ?? [];
}

/** Publishes one event for each bar. Returns their ids. */
export async function publishBars(trpc: TRPCClient<AppRouter>, bars: readonly number[], to = 'b1'): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 0; at < bars.length; at += MAX_BATCH_EVENTS) {
    const drafts = bars.slice(at, at + MAX_BATCH_EVENTS).map((bar) => ({
      type: 'backtest.progress' as const,
      channel: `backtest.${to}` as const,
      data: { backtest_id: to, progress: 0.5, bars_processed: bar },
    }));
    ids.push(...(await trpc.events.publishBatch.mutate(drafts)).map(({ id }) => id));
  }
  return ids;
}

const MAX_BATCH_EVENTS = 500;

/** 1 to `count`. */
export function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
