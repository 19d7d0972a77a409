/** The choice of the event's type, among the types that the user may publish. */
import { NativeSelect } from '@mantine/core';
import type { ReactElement } from 'react';
import type { ContractDocument } from '../../../../../src/contract/document.ts';
import { legible } from '../../parts/legible.tsx';

/** A service publishes its own types, an admin all. */
export function servicesFor(
  document: ContractDocument,
  role: string,
  sub: string,
): (readonly [service: string, types: readonly string[]])[] {
  return Object.entries(document['x-services']).filter(([service]) => role === 'admin' || service === sub);
}

interface TypeChoiceProps {
  readonly services: ReturnType<typeof servicesFor>;
  readonly type: string | undefined;
  /** What the chosen type is for. */
  readonly description: string | undefined;
  readonly onChange: (type: string) => void;
}

export function TypeChoice({ services, type, description, onChange }: TypeChoiceProps): ReactElement {
  return (
    <NativeSelect
      id="type"
      label="Type"
      description={description === undefined ? undefined : legible(description)}
      value={type ?? ''}
      onChange={(event) => onChange(event.currentTarget.value)}
      data={[
        { value: '', label: 'Choose a type', disabled: true },
        ...services.map(([service, types]) => ({ group: service, items: [...types] })),
      ]}
      required
    />
  );
}
