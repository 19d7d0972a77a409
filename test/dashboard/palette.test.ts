/** The colours of services, whose order is that of the contract: today's stay, no two are equal, and all can be told from the ground. */
import { DEFAULT_THEME } from '@mantine/core';
import { expect, test } from 'vitest';
import { colorAt, NEUTRAL, PALETTE } from '../../client/dashboard/src/parts/palette.ts';
import { DOCUMENT } from '../helpers/lumiere.ts';

const { colors } = DEFAULT_THEME;
/** Of cards, in light and in dark. */
const GROUNDS = { light: '#ffffff', dark: colors.dark[6] } as const;

function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [darker = 0, lighter = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

test("Lumiere's services keep their colours", () => {
  const services = Object.keys(DOCUMENT['x-services']);
  const named = services.map((service, index) => [service, colorAt(index)[0]]);
  expect(Object.fromEntries(named)).toMatchObject({ cartographe: 'blue', chevalier: 'teal', forge: 'orange', prophet: 'grape' });
});

test.each(['light', 'dark'] as const)('every colour differs from the others and from the ground, %s', (scheme) => {
  const shades = [...PALETTE, NEUTRAL].map(([name, light, dark]) => colors[name]?.[scheme === 'light' ? light : dark] ?? '');
  expect(new Set(shades).size).toBe(PALETTE.length + 1);
  for (const shade of shades) expect([shade, contrast(shade, GROUNDS[scheme]) >= 3]).toEqual([shade, true]);
  expect(colorAt(PALETTE.length)).toBe(colorAt(0));
});
