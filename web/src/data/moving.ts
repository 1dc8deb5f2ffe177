//! Moving about a grid with the keyboard.

/** A cell, counted from 0. */
export interface Cell {
  readonly row: number;
  readonly column: number;
}

/** Where a key leads; `undefined` if it is not a key for moving. `page` is the number of rows that are seen. */
export function step({ row, column }: Cell, key: string, rows: number, columns: number, page: number): Cell | undefined {
  const to = (nextRow: number, nextColumn: number): Cell => ({
    row: Math.max(0, Math.min(rows - 1, nextRow)),
    column: Math.max(0, Math.min(columns - 1, nextColumn)),
  });
  switch (key) {
    case 'ArrowUp':
      return to(row - 1, column);
    case 'ArrowDown':
      return to(row + 1, column);
    case 'ArrowLeft':
      return to(row, column - 1);
    case 'ArrowRight':
      return to(row, column + 1);
    case 'PageUp':
      return to(row - page, column);
    case 'PageDown':
      return to(row + page, column);
    case 'Home':
      return to(row, 0);
    case 'End':
      return to(row, columns - 1);
    case 'Ctrl+Home':
      return to(0, 0);
    case 'Ctrl+End':
      return to(rows - 1, columns - 1);
    default:
      return undefined;
  }
}
