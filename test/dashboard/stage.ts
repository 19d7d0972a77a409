/** The dashboard in a browser, for a test: signed in to a gateway, watched for complaints, looked at by axe. */
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { AxeResults } from 'axe-core';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { expect } from 'vitest';
import { httpClient } from '../helpers/gateway.ts';

/** Where pictures of pages are left, to be looked at; not kept in the repository. */
const PICTURES = fileURLToPath(new URL('./pictures/', import.meta.url));
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** How long something may take to be seen, and how often it is looked for, in ms. */
const POLL = { timeout: 15_000, interval: 50 };

export interface Dashboard extends AsyncDisposable {
  readonly page: Page;
  /** What the browser complained about: errors of scripts, refused content. A connection that cannot be made is none. */
  readonly complaints: string[];
  /** Addresses that were asked for, without those of the gateway. */
  readonly elsewhere: string[];
}

export interface OpenOptions extends BrowserContextOptions {
  /** Of whoever signs in by a link; without one the sign-in is shown. */
  readonly token?: string;
  /** Below `/admin/`. */
  readonly path?: string;
  /** Called before the page is opened. */
  readonly prepare?: (page: Page) => Promise<unknown>;
}

export async function openDashboard(browser: Browser, url: string, options: OpenOptions = {}): Promise<Dashboard> {
  const { token, path = '', prepare, ...contextOptions } = options;
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...contextOptions });
  const page = await context.newPage();
  const complaints: string[] = [];
  const elsewhere: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    const isOfConnection = /^WebSocket connection to|^Failed to load resource/.test(message.text());
    if (message.type() === 'error' && !isOfConnection) complaints.push(message.text());
  });
  page.on('request', (request) => {
    const isOfGateway = request.url().startsWith(`${url}/`);
    if (!isOfGateway && !request.url().startsWith('data:')) elsewhere.push(request.url());
  });
  await prepare?.(page);
  await page.goto(`${url}/admin/${path}${token === undefined ? '' : `#token=${token}`}`);
  return { page, complaints, elsewhere, [Symbol.asyncDispose]: () => context.close() };
}

/** Looks again until what is expected is there. */
export function eventually<T>(read: () => T | Promise<T>) {
  return expect.poll(read, POLL);
}

/** Waits until it can be seen. */
export async function seen(locator: Locator): Promise<void> {
  await locator.first().waitFor({ state: 'visible', timeout: POLL.timeout });
}

export async function gone(locator: Locator): Promise<void> {
  await locator.first().waitFor({ state: 'detached', timeout: POLL.timeout });
}

/** Resolves once nothing has moved for a few frames, but for what moves without an end. */
const STILL = `new Promise((resolve) => {
  let still = 0;
  const look = () => {
    const moves = document.getAnimations().some(({ playState, effect }) => playState === 'running' && effect.getComputedTiming().endTime !== Infinity);
    still = moves ? 0 : still + 1;
    if (still > 5) resolve();
    else requestAnimationFrame(look);
  };
  look();
})`;

/** What axe finds that is serious, as `rule: where`. What fades in has no colours to judge yet. */
export async function seriousFindings(page: Page): Promise<string[]> {
  await page.evaluate(STILL);
  // The page's policy lets nobody put scripts into it; a debugger may evaluate them.
  await page.evaluate(AXE);
  const results = (await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')) as AxeResults;
  const serious = results.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  return serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join('; ')}`);
}

/** How much wider than the window the page is, in px. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - innerWidth') as Promise<number>;
}

export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: `${PICTURES}${name}.png` });
}

/** Publishes bars of a backtest, one call for a hundred. */
export async function publishBars(url: string, token: string, numbers: readonly number[], channel = 'backtest.b1'): Promise<void> {
  const { events } = httpClient(url, token);
  for (let from = 0; from < numbers.length; from += 100) {
    await events.publishBatch.mutate(
      numbers.slice(from, from + 100).map((bar) => ({
        type: 'backtest.progress' as const,
        channel: channel as 'backtest.b1',
        data: { backtest_id: channel.slice(channel.lastIndexOf('.') + 1), progress: 0.5, bars_processed: bar },
      })),
    );
  }
}
