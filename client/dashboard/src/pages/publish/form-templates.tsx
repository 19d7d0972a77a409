/** The layout of a form of data, where it differs from that of `@rjsf/mantine`: groups are fieldsets without headings. */
import { Button, Fieldset, Stack, Text } from '@mantine/core';
import type { ArrayFieldTitleProps, DescriptionFieldProps, FieldErrorProps, IconButtonProps, ObjectFieldTemplateProps } from '@rjsf/utils';
import type { ReactElement } from 'react';
import { Legible, legible } from '../../parts/legible.tsx';

export function ObjectFields({ title, description, properties, fieldPathId }: ObjectFieldTemplateProps): ReactElement {
  const fields = properties.filter(({ hidden }) => !hidden).map(({ content }) => content);
  if (fieldPathId.path.length === 0) return <Stack gap="sm">{fields}</Stack>;
  return (
    <Fieldset legend={title} id={fieldPathId.$id}>
      <Stack gap="sm">
        {description !== undefined && description !== '' && (
          <Text size="xs" c="dimmed">
            {typeof description === 'string' ? legible(description) : description}
          </Text>
        )}
        {fields}
      </Stack>
    </Fieldset>
  );
}

export function ListTitle({ title }: ArrayFieldTitleProps): ReactElement {
  return <>{title}</>;
}

export function Description({ id, description }: DescriptionFieldProps): ReactElement | null {
  if (description === '') return null;
  return (
    <Text id={id} size="xs" c="dimmed" mb="xs">
      {typeof description === 'string' ? legible(description) : description}
    </Text>
  );
}

/** The faults of a group as a whole. Single fields show their own faults. */
export function GroupErrors({ errors = [], schema }: FieldErrorProps): ReactElement | null {
  if (errors.length === 0 || (schema.type !== 'array' && schema.properties === undefined)) return null;
  return (
    <Text size="xs" c="var(--mantine-color-error)" mt={4} tabIndex={-1} data-issue>
      <Legible>{[...new Set(errors)].join('\n')}</Legible>
    </Text>
  );
}

export function AddButton({ id, onClick, disabled }: IconButtonProps): ReactElement {
  return (
    <Button id={id} size="compact-sm" variant="default" onClick={onClick} disabled={disabled === true}>
      Add one
    </Button>
  );
}
