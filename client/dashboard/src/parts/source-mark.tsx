/** The colour of each service, the same on every page: by its place in the contract's document. Other sources have a neutral one. */
import { useComputedColorScheme, useMantineTheme } from '@mantine/core';
import { createContext, type ReactElement, type ReactNode, useContext, useMemo } from 'react';
import { useDocument } from '../contract/use-contract.ts';
import { colorAt, NEUTRAL } from './palette.ts';

const Services = createContext<ReadonlyMap<string, number>>(new Map());

/** Gives the services of the contract to the components below, however many there are: a stream has a mark for each event. */
export function SourceColors({ children }: { readonly children: ReactNode }): ReactElement {
  const document = useDocument();
  const places = useMemo(() => new Map(Object.keys(document?.['x-services'] ?? {}).map((service, index) => [service, index])), [document]);
  return <Services value={places}>{children}</Services>;
}

export function useSourceColor(): (source: string) => string {
  const { colors } = useMantineTheme();
  const isDark = useComputedColorScheme() === 'dark';
  const places = useContext(Services);
  return (source) => {
    const place = places.get(source);
    const [name, light, dark] = place === undefined ? NEUTRAL : colorAt(place);
    return colors[name]?.[isDark ? dark : light] ?? 'gray';
  };
}

export function SourceMark({ source }: { readonly source: string }): ReactElement {
  return <span aria-hidden className="swatch" style={{ background: useSourceColor()(source) }} />;
}
