/** A list that renders only the rows in sight, so that thousands of rows cost no more than a few. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { type HTMLAttributes, type KeyboardEvent, type ReactElement, type ReactNode, useLayoutEffect, useRef } from 'react';
import classes from './virtual-list.module.css';

/** Rendered rows before and after those in sight. */
const OVERSCAN = 10;

interface VirtualListProps<T> {
  /** The name of the list, for screen readers. */
  readonly label: string;
  readonly count: number;
  readonly rowAt: (index: number) => T | undefined;
  readonly rowId: (row: T) => string;
  /** The height of a row, in px. */
  readonly rowHeight: number;
  /** Renders a row with a button: the arrow keys move from one button to the next. */
  readonly children: (row: T) => ReactNode;
  readonly className?: string | undefined;
  readonly style?: HTMLAttributes<HTMLElement>['style'];
  /** @param top the scroll position, in px. */
  readonly onScroll?: (top: number) => void;
  /** The content after the last row. */
  readonly end?: ReactNode;
}

export function VirtualList<T>(props: VirtualListProps<T>): ReactElement {
  const { label, count, rowAt, rowId, rowHeight, children, className, style, onScroll, end } = props;
  const scroller = useRef<HTMLElement>(null);
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: OVERSCAN,
  });
  // Where rows become higher, as on a page that turns out to be narrow, those that are there do too.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the height is what is measured
  useLayoutEffect(() => virtual.measure(), [virtual, rowHeight]);
  const move = (event: KeyboardEvent, index: number) => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const next = Math.min(Math.max(index + step, 0), count - 1);
    virtual.scrollToIndex(next);
    requestAnimationFrame(() => scroller.current?.querySelector<HTMLElement>(`[data-index="${next}"] button`)?.focus());
  };
  return (
    <section
      ref={scroller}
      className={`${classes['scroller']} ${className ?? ''}`}
      {...(style !== undefined && { style })}
      onScroll={(event) => onScroll?.(event.currentTarget.scrollTop)}
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls can be scrolled with the keyboard
      tabIndex={0}
    >
      <ol className={classes['list']} style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map(({ index, start }) => {
          const row = rowAt(index);
          return (
            row !== undefined && (
              <li
                key={rowId(row)}
                data-index={index}
                data-event={rowId(row)}
                aria-setsize={count}
                aria-posinset={index + 1}
                className={classes['row']}
                style={{ height: rowHeight, transform: `translateY(${start}px)` }}
                onKeyDown={(event) => move(event, index)}
              >
                {children(row)}
              </li>
            )
          );
        })}
      </ol>
      {end}
    </section>
  );
}
