/** The colour of each service, the same on every page. */
import { useComputedColorScheme, useMantineTheme } from '@mantine/core';
import type { ReactElement } from 'react';

const COLORS: Readonly<Record<string, string>> = { prophet: 'grape', cartographe: 'blue', chevalier: 'teal', forge: 'orange' };

export function useSourceColor(): (source: string) => string {
  const { colors } = useMantineTheme();
  const shade = useComputedColorScheme() === 'dark' ? 4 : 7;
  return (source) => colors[COLORS[source] ?? 'gray']?.[shade] ?? 'gray';
}

export function SourceMark({ source }: { readonly source: string }): ReactElement {
  return <span aria-hidden className="swatch" style={{ background: useSourceColor()(source) }} />;
}
