/** The recipients of a published event. */
import type { Receipt } from '@lumiere/courier-client';
import { Badge, Group, Stack, Text } from '@mantine/core';
import type { ReactElement } from 'react';
import type { Recipient, Recipients } from '../../../../../src/contract/admin.ts';
import { count } from '../../parts/format.ts';
import { Legible } from '../../parts/legible.tsx';
import { useRecipients } from '../../parts/queries.ts';
import { Loaded } from '../../parts/states.tsx';
import classes from './publish.module.css';

export function RecipientList({ receipt }: { readonly receipt: Receipt<string> }): ReactElement {
  const recipients = useRecipients(receipt);
  return (
    <Loaded what="Who received it" query={recipients} rows={2}>
      {({ total, recipients: listed }) =>
        total === 0 ? (
          <Text size="sm" c="dimmed" data-recipients={0}>
            Nobody subscribes to this.
          </Text>
        ) : (
          <Stack gap={4} data-recipients={total}>
            <Text size="sm">{summaryOf({ total, recipients: listed })}</Text>
            <ul className={classes['list']} aria-label="Recipients">
              {listed.map((recipient) => (
                <RecipientItem key={recipient.connection_id} recipient={recipient} />
              ))}
            </ul>
          </Stack>
        )
      }
    </Loaded>
  );
}

function RecipientItem({ recipient: { sub, role, transport, handed } }: { readonly recipient: Recipient }): ReactElement {
  return (
    <Group component="li" gap={6} py={4}>
      <Text span size="sm" flex={1} miw={120}>
        <Legible max={60}>{sub}</Legible>
      </Text>
      <Badge variant="default" tt="none">
        {role}
      </Badge>
      <Badge variant="default" tt="none">
        {transport}
      </Badge>
      <Badge variant="dot" color={handed ? 'teal' : 'orange'} tt="none" data-handed={handed}>
        {handed ? 'handed' : 'waiting'}
      </Badge>
    </Group>
  );
}

function summaryOf({ total, recipients }: Recipients): string {
  const handed = recipients.filter((recipient) => recipient.handed).length;
  const subscribers = `${count(total)} ${total === 1 ? 'connection subscribes' : 'connections subscribe'}`;
  if (recipients.length < total) return `${subscribers}; ${count(recipients.length)} of them are shown, ${count(handed)} of which have it.`;
  return handed === total ? `${subscribers}; it was handed to all of them.` : `${subscribers}; it was handed to ${count(handed)} so far.`;
}
