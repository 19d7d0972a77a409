/** Content that the user opens and closes. */
import { Box, Button } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import type { ReactElement, ReactNode } from 'react';

interface DisclosureProps {
  readonly label: string;
  /** A fuller name for screen readers, when several have the same label. */
  readonly of?: string;
  readonly isOpenAtFirst?: boolean;
  readonly children: ReactNode;
}

export function Disclosure({ label, of, isOpenAtFirst = false, children }: DisclosureProps): ReactElement {
  const [isOpen, { toggle }] = useDisclosure(isOpenAtFirst);
  return (
    <div>
      <Button
        size="compact-sm"
        variant="default"
        onClick={toggle}
        aria-expanded={isOpen}
        rightSection={<span aria-hidden>{isOpen ? '▴' : '▾'}</span>}
        {...(of !== undefined && { 'aria-label': `${label} of ${of}` })}
      >
        {label}
      </Button>
      {isOpen && <Box mt="xs">{children}</Box>}
    </div>
  );
}
