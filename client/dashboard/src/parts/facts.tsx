/** Names and values, as a list of descriptions. */
import { Text } from '@mantine/core';
import type { ReactElement, ReactNode } from 'react';

export function Facts({ facts }: { readonly facts: readonly (readonly [name: string, value: ReactNode])[] }): ReactElement {
  return (
    <dl className="facts figures">
      {facts.map(([name, value]) => (
        <div key={name}>
          <Text component="dt" size="sm" c="dimmed">
            {name}
          </Text>
          <Text component="dd" size="sm" className="text">
            {value}
          </Text>
        </div>
      ))}
    </dl>
  );
}
