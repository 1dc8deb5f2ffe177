//! Geometry of the canvas.

import { expect, test } from 'vitest';
import { fit, moveBy, zoomAt } from './panzoom';

test('a large picture is shrunk and centred, a small one only centred', () => {
  expect(fit({ width: 1000, height: 500 }, { width: 548, height: 580 })).toEqual({ scale: 0.5, x: 24, y: 149 });
  expect(fit({ width: 100, height: 100 }, { width: 548, height: 580 })).toEqual({ scale: 1, x: 224, y: 224 });
});

test('zooming keeps the point under the pointer', () => {
  const before = { scale: 1, x: 10, y: 20 };
  const after = zoomAt(before, 2, 110, 120);
  expect(after).toEqual({ scale: 2, x: -90, y: -80 });
  expect((110 - after.x) / after.scale).toBe((110 - before.x) / before.scale);
});

test('the scale has limits', () => {
  expect(zoomAt({ scale: 3, x: 0, y: 0 }, 9, 0, 0).scale).toBe(4);
  expect(moveBy({ scale: 1, x: 0, y: 0 }, 3, 4)).toEqual({ scale: 1, x: 3, y: 4 });
});
