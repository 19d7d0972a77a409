/** The families of channels, and the types that each carries. */
import { Card, Text, Title } from '@mantine/core';
import type { ReactElement } from 'react';
import type { ContractDocument, FamilyOfChannels } from '../../../../../src/contract/document.ts';
import { count } from '../../parts/format.ts';
import { legible } from '../../parts/legible.tsx';
import classes from './contract.module.css';

export function FamiliesCard({ document }: { readonly document: ContractDocument }): ReactElement {
  return (
    <Card>
      <Title order={2} size="h5" mb="xs">
        Channels
      </Title>
      <ul className={classes['list']}>
        {Object.entries(document['x-channels']).map(([name, family]) => (
          <li key={name}>
            <Text size="sm" fw={600} ff="monospace" pt={6} className="text">
              {family.form}
              {family.title !== undefined && (
                <Text span size="sm" fw={400} ff="text" ml="xs">
                  {legible(family.title)}
                </Text>
              )}
            </Text>
            <Text size="sm" c="dimmed" pb={6} className="text">
              {carried(family, document)}
            </Text>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function carried({ types }: FamilyOfChannels, document: ContractDocument): string {
  const all = Object.keys(document['x-drafts']).length;
  return types.length === all ? `every type, ${count(all)} in all` : types.join(', ');
}
