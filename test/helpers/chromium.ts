/** Chromium for tests that need a real browser: the system's, without a window, with a new and empty profile. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const ELSEWHERE = ['/Applications/Chromium.app/Contents/MacOS/Chromium', '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'];

/** It runs as any user, and speaks to nobody but the pages' own servers. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts it; it ends with its scope. @throws when there is none; the message says how to get it. */
export async function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: executablePath(), args: FLAGS });
}

function executablePath(): string {
  const chosen = process.env['COURIER_CHROMIUM'];
  if (chosen !== undefined) {
    if (isExecutable(chosen)) return chosen;
    throw new Error(`COURIER_CHROMIUM: ${JSON.stringify(chosen)} is no program that can be run`);
  }
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const found = [...folders.flatMap((folder) => NAMES.map((name) => join(folder, name))), ...ELSEWHERE].find(isExecutable);
  if (found !== undefined) return found;
  throw new Error(
    'Chromium is missing: install it (Debian: apt-get install chromium; macOS: brew install --cask chromium), or set COURIER_CHROMIUM to its path',
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
