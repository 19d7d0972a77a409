/** A table that the user can search and sort. It renders only the rows in sight. */
import { Box, Table, UnstyledButton } from '@mantine/core';
import {
  type ColumnDef,
  columnFilteringFeature,
  createFilteredRowModel,
  createSortedRowModel,
  filterFn_includesString,
  globalFilteringFeature,
  type RowData,
  rowSortingFeature,
  type SortDirection,
  type SortingState,
  sortFn_alphanumeric,
  sortFn_basic,
  sortFn_datetime,
  tableFeatures,
  useTable,
} from '@tanstack/react-table';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactElement, type ReactNode, useRef, useState } from 'react';
import classes from './data-table.module.css';

const features = tableFeatures({
  rowSortingFeature,
  columnFilteringFeature,
  globalFilteringFeature,
  sortedRowModel: createSortedRowModel(),
  filteredRowModel: createFilteredRowModel(),
  sortFns: { alphanumeric: sortFn_alphanumeric, basic: sortFn_basic, datetime: sortFn_datetime },
  filterFns: { includesString: filterFn_includesString },
});

export type Column<T extends RowData> = ColumnDef<typeof features, T>;
type Value = string | number | Date | null;

const ROW_HEIGHT = 40;
/** Rendered rows before and after those in sight. */
const OVERSCAN = 12;
/** The height of the table, in rows, at most. */
const MAX_ROWS_IN_SIGHT = 16;

interface ColumnOptions<T extends RowData> {
  readonly header: string;
  /** The value by which the table sorts and searches the column. */
  readonly value: (row: T) => Value;
  /** The content of the cell; the value when absent. */
  readonly cell?: (row: T) => ReactNode;
  readonly numeric?: boolean;
  /** A narrow page shows only the most important columns. */
  readonly wideOnly?: boolean;
}

export function column<T extends RowData>(
  id: string,
  { header, value, cell, numeric = false, wideOnly = false }: ColumnOptions<T>,
): Column<T> {
  return {
    id,
    header,
    accessorFn: value,
    sortFn: numeric ? 'basic' : 'alphanumeric',
    sortDescFirst: numeric,
    cell: ({ row }) => (cell === undefined ? value(row.original) : cell(row.original)) as ReactNode,
    meta: { numeric, wideOnly },
  };
}

interface ColumnMeta {
  readonly numeric: boolean;
  readonly wideOnly: boolean;
}

interface DataTableProps<T extends RowData> {
  /** The name of the table, for screen readers. */
  readonly label: string;
  readonly columns: Column<T>[];
  readonly rows: readonly T[];
  readonly rowId: (row: T) => string;
  readonly search?: string;
  readonly initialSort: { readonly id: string; readonly desc: boolean };
  /** The content when the search finds no row. */
  readonly empty: ReactNode;
}

export function DataTable<T extends RowData>({
  label,
  columns,
  rows,
  rowId,
  search = '',
  initialSort,
  empty,
}: DataTableProps<T>): ReactElement {
  const [sorting, setSorting] = useState<SortingState>([initialSort]);
  const table = useTable({
    features,
    columns,
    data: rows as T[],
    getRowId: rowId,
    state: { sorting, globalFilter: search },
    onSortingChange: setSorting,
    globalFilterFn: 'includesString',
    getColumnCanGlobalFilter: () => true,
    enableSortingRemoval: false,
  });
  const found = table.getRowModel().rows;
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: found.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: OVERSCAN,
  });
  const items = virtual.getVirtualItems();
  const before = items[0]?.start ?? 0;
  const after = virtual.getTotalSize() - (items.at(-1)?.end ?? 0);
  if (found.length === 0) return <>{empty}</>;
  return (
    <Box
      ref={scroller}
      className={classes['scroller']}
      mah={ROW_HEIGHT * (MAX_ROWS_IN_SIGHT + 1)}
      tabIndex={0}
      role="region"
      aria-label={label}
    >
      <Table className="figures" aria-rowcount={found.length + 1} stickyHeader highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            {table.getFlatHeaders().map((header) => {
              const { numeric, wideOnly } = header.column.columnDef.meta as ColumnMeta;
              const direction = header.column.getIsSorted();
              return (
                <Table.Th
                  key={header.id}
                  aria-sort={direction === false ? 'none' : direction === 'asc' ? 'ascending' : 'descending'}
                  className={wideOnly ? classes['wide'] : undefined}
                  ta={numeric ? 'right' : 'left'}
                >
                  <UnstyledButton className={classes['sort']} onClick={header.column.getToggleSortingHandler()}>
                    {String(header.column.columnDef.header)}
                    <SortMark direction={direction} />
                  </UnstyledButton>
                </Table.Th>
              );
            })}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {before > 0 && <Spacer height={before} />}
          {items.map((item) => {
            const row = found[item.index];
            return (
              row !== undefined && (
                <Table.Tr key={row.id} h={ROW_HEIGHT} aria-rowindex={item.index + 2} data-row={row.id}>
                  {row.getAllCells().map((cell) => {
                    const { numeric, wideOnly } = cell.column.columnDef.meta as ColumnMeta;
                    return (
                      <Table.Td key={cell.id} className={wideOnly ? classes['wide'] : undefined} ta={numeric ? 'right' : 'left'}>
                        <table.FlexRender cell={cell} />
                      </Table.Td>
                    );
                  })}
                </Table.Tr>
              )
            );
          })}
          {after > 0 && <Spacer height={after} />}
        </Table.Tbody>
      </Table>
    </Box>
  );
}

function SortMark({ direction }: { readonly direction: false | SortDirection }): ReactElement {
  return (
    <span aria-hidden className={classes['mark']}>
      {direction === false ? '' : direction === 'asc' ? '▲' : '▼'}
    </span>
  );
}

function Spacer({ height }: { readonly height: number }): ReactElement {
  return (
    <Table.Tr aria-hidden>
      <Table.Td p={0} h={height} bd={0} colSpan={100} />
    </Table.Tr>
  );
}
