/** The subscription of a stream as code to copy. */
import { Button, Modal } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import type { ReactElement } from 'react';
import { useIsPackaged } from '../../contract/use-contract.ts';
import { CodeTabs } from '../../parts/code.tsx';
import { GATEWAY_URL } from '../../place.ts';
import type { StreamSearch } from './search.ts';
import { subscribeCode } from './snippets.ts';

export function SubscribeCode({ search }: { readonly search: StreamSearch }): ReactElement {
  const isPackaged = useIsPackaged();
  const [isOpen, { open, close }] = useDisclosure(false);
  return (
    <>
      <Button size="xs" variant="default" onClick={open}>
        As code
      </Button>
      <Modal opened={isOpen} onClose={close} title="Subscribe to this" size="lg">
        <CodeTabs code={subscribeCode(search, { url: GATEWAY_URL, isPackaged })} />
      </Modal>
    </>
  );
}
