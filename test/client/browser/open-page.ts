/** The page in a browser, for a test: what it is told, and what it shows. */
import type { Browser, Page } from 'playwright-core';
import type { CourierEvent, Gap } from '../../../client/src/index.ts';
import type { ChannelState } from '../../../client/src/react.ts';
import type { Driver } from './page.ts';

/** What a view of a channel shows, as JSON. */
export type Shown = Omit<ChannelState<CourierEvent>, 'gap' | 'error'> & { readonly gap?: Gap; readonly error?: { readonly code: string } };

type Drive = {
  readonly [K in keyof Driver]: Driver[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Awaited<R>> : never;
};

export interface OpenPage extends AsyncDisposable {
  readonly drive: Drive;
  /** The version of React. */
  readonly version: string;
  /** What a view shows; undefined while it is not there. */
  shown<T = Shown>(view: string): Promise<T | undefined>;
  /** What the browser complained about: errors, and warnings of React. A connection that cannot be made is none. */
  readonly complaints: string[];
}

export async function openPage(browser: Browser, url: string): Promise<OpenPage> {
  const context = await browser.newContext();
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('WebSocket connection to')) complaints.push(message.text());
  });
  await page.goto(url);
  const version = await page.evaluate(() => (globalThis as unknown as { driver: Driver }).driver.version);
  return {
    drive: driveOf(page),
    version,
    shown: async <T>(view: string) => {
      const [text] = await page.locator(`[data-view="${view}"]`).allTextContents();
      return text === undefined || text === '' ? undefined : (JSON.parse(text) as T);
    },
    complaints,
    [Symbol.asyncDispose]: () => context.close(),
  };
}

function driveOf(page: Page): Drive {
  const call = (name: string, args: unknown[]) =>
    page.evaluate(
      (asked) => {
        const { driver } = globalThis as unknown as { driver: { [name: string]: (...args: unknown[]) => unknown } };
        return driver[asked.name]?.(...asked.args);
      },
      { name, args },
    );
  return new Proxy({} as Drive, { get: (_, name) => (name === 'then' ? undefined : (...args: unknown[]) => call(String(name), args)) });
}
