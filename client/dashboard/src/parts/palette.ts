/**
 * Colours that tell things apart, in the order in which they are given out: a name of the theme's, and its shades on light and on dark
 * ground. Each has three times the luminance of its ground, or a third of it, which WCAG asks of graphics.
 */
export const PALETTE: readonly (readonly [name: string, light: number, dark: number])[] = [
  ['blue', 7, 4],
  ['teal', 7, 4],
  ['orange', 7, 4],
  ['grape', 7, 4],
  ['lime', 9, 4],
  ['pink', 7, 4],
  ['cyan', 7, 4],
  ['red', 7, 4],
  ['indigo', 7, 4],
  ['green', 9, 4],
  ['violet', 7, 4],
  ['orange', 9, 2],
  ['blue', 9, 2],
  ['pink', 9, 2],
  ['teal', 9, 2],
  ['grape', 9, 2],
];

/** What has no colour of its own. */
export const NEUTRAL = ['gray', 7, 4] as const;

/** The colour of the thing at `index`, from 0 on. They come again after the last one. */
export function colorAt(index: number): (typeof PALETTE)[number] {
  return PALETTE[index % PALETTE.length] ?? NEUTRAL;
}
