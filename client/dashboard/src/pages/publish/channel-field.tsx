/** The channel of the event: the one that its data suggests, or the one that the user typed. */
import { Button, Group, Text, TextInput } from '@mantine/core';
import { type ReactElement, type ReactNode, useRef } from 'react';
import type { Family } from '../../contract/look-up.ts';
import { channelIn } from './draft.ts';

interface ChannelFieldProps {
  readonly channel: string;
  readonly families: readonly Family[];
  /** The id that a channel of the family would have; empty when none is known. */
  readonly idOf: (family: Family) => string;
  readonly error: ReactNode;
  readonly onChange: (channel: string) => void;
}

export function ChannelField({ channel, families, idOf, error, onChange }: ChannelFieldProps): ReactElement {
  const input = useRef<HTMLInputElement>(null);
  const fill = (family: Family) => {
    onChange(channelIn(family, idOf(family)));
    input.current?.focus();
  };
  return (
    <div>
      <TextInput
        ref={input}
        id="channel"
        label="Channel"
        description="Follows from the ids in the data until something else is typed."
        placeholder={families[0]?.form}
        value={channel}
        onChange={(event) => onChange(event.currentTarget.value)}
        error={error}
        required
        autoComplete="off"
        spellCheck={false}
      />
      <Group gap={6} mt={6}>
        <Text size="xs" c="dimmed">
          This type may go to
        </Text>
        {families.map((family) => (
          <Button key={family.name} size="compact-xs" variant="default" onClick={() => fill(family)} aria-label={`Fill in ${family.form}`}>
            {family.form}
          </Button>
        ))}
      </Group>
    </div>
  );
}
