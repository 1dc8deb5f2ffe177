//! Records for the tests, written over HTTP, and the data view in words.

import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { DESKTOP } from './browser.mjs';

const CITIES = ['Oslo', 'Rome', 'Lisbon', 'Kyoto', 'Ghent', 'Turin', 'Bergen'];
const STATUSES = ['open', 'paid', 'shipped', 'returned'];
const NAMES = ['Ada Lovelace', 'Grace Hopper', 'Alan Turing', 'Edsger Dijkstra', 'Barbara Liskov', 'Donald Knuth'];
/** As many as a batch may have. */
const BATCH = 10_000;

/** The order of this number, always the same. */
export function order(number: number) {
  return {
    id: `o${String(number).padStart(6, '0')}`,
    customer: NAMES[number % NAMES.length],
    city: CITIES[(number * 5) % CITIES.length],
    status: STATUSES[(number * 3) % STATUSES.length],
    total: ((number * 7919) % 100_000) / 100,
    express: number % 5 === 0,
    ordered_at: new Date(1.76e12 + number * 6e5).toISOString(),
    lines: [{ sku: `A${number % 90}`, n: 1 + (number % 4) }],
  };
}

/** Writes orders into a new collection. */
export async function seedOrders(url: string, collection: string, count: number): Promise<void> {
  for (let from = 0; from < count; from += BATCH) {
    const inserts = Array.from({ length: Math.min(BATCH, count - from) }, (_, index) => ({ data: order(from + index) }));
    const answer = await call(url, 'POST', `/api/batch/insert/${collection}`, { inserts });
    if (answer['failed'] instanceof Array && answer['failed'].length > 0) throw new Error(JSON.stringify(answer['failed'][0]));
  }
}

/** One call of the server's HTTP API. */
export async function call(url: string, method: string, path: string, body?: unknown, key?: string): Promise<Record<string, unknown>> {
  const headers = { 'content-type': 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) };
  const response = await fetch(`${url}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as Record<string, unknown>;
}

/** Opens a table in a context of its own, and waits for its rows. Errors of the page go to `complaints`. */
export async function openTable(browser: Browser, address: string, complaints: string[], device: BrowserContextOptions = { viewport: DESKTOP }): Promise<Page> {
  const context = await browser.newContext(device);
  const page = await context.newPage();
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(address);
  await page.getByTestId('data').waitFor();
  return page;
}

/** A cell of a record. */
export const cell = (page: Page, id: string, field: string) => page.locator(`[data-testid=row][data-id="${id}"] [data-field="${field}"]`);

/** Waits until changes arrive. */
export async function live(page: Page): Promise<void> {
  await page.locator('[data-testid=live][data-short=Live]').waitFor({ timeout: 40_000 });
}

/** Edits a cell as a person does: double click, type, Enter. */
export async function type(page: Page, id: string, field: string, text: string): Promise<void> {
  await cell(page, id, field).dblclick();
  await page.getByTestId('cell-editor').fill(text);
  await page.getByTestId('cell-editor').press('Enter');
}
