//! The live tables against the real server: what one person changes, another sees.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { PHONE, launch } from './support/browser.mjs';
import { call, cell, live, openTable, order, seedOrders, type } from './support/data.ts';
import { picture } from './support/page.ts';
import { TidewireServer } from './support/server.ts';

const MANY = 100_000;
/** A window of this size shows some 22 rows; three times as many would already be waste. */
const MOST_ROWS = 66;

let server: TidewireServer;
let browser: Browser;
const pages: Page[] = [];
const complaints: string[] = [];

beforeAll(async () => {
  server = await TidewireServer.start('scripted');
  await seedOrders(server.url, 'orders', 500);
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});
afterEach(async () => {
  for (const page of pages.splice(0)) await page.context().close();
  complaints.length = 0;
});

async function open(path: string, device?: object): Promise<Page> {
  const page = await openTable(browser, `${server.url}/${path}`, complaints, device);
  pages.push(page);
  return page;
}

const text = (page: Page, id: string, field: string) => cell(page, id, field).innerText();
const ids = async (page: Page) => page.getByTestId('row').evaluateAll((rows) => rows.map((row) => row.getAttribute('data-id')));

describe('a live table', () => {
  it('shows an edit of one page in the other, glowing, and keeps it', async () => {
    const [one, two] = [await open('#/d/orders'), await open('#/d/orders')];
    await live(two);
    await type(one, 'o000002', 'city', 'Reykjavík');
    await cell(two, 'o000002', 'city').and(two.locator('[data-glow]')).waitFor();
    await picture(two, '20-data-glow');
    await expect.poll(() => text(two, 'o000002', 'city')).toBe('Reykjavík');
    await expect.poll(() => call(server.url, 'GET', '/api/find/orders/o000002')).toMatchObject({ city: { value: 'Reykjavík' } });
    await one.reload();
    await expect.poll(() => text(one, 'o000002', 'city')).toBe('Reykjavík');
    expect(complaints).toEqual([]);
  });

  it('shows new rows and deleted ones without being asked', async () => {
    const page = await open('#/d/orders?sort=customer');
    await live(page);
    await call(server.url, 'POST', '/api/insert/orders', { ...order(900_000), customer: 'Aaron' });
    await cell(page, 'o900000', 'customer').waitFor();
    expect((await ids(page))[0]).toBe('o900000');
    await expect.poll(() => page.getByTestId('count').innerText()).toBe('501 rows');
    await call(server.url, 'DELETE', '/api/delete/orders/o900000');
    await cell(page, 'o900000', 'customer').waitFor({ state: 'detached' });
    await expect.poll(() => page.getByTestId('count').innerText()).toBe('500 rows');
  });

  it('is found again by its address: collection, filter and sort', async () => {
    const page = await open('#/d/orders');
    await page.getByTestId('filter').fill('status = paid and total >= 900');
    await page.getByTestId('filter').press('Enter');
    await page.getByTestId('head-total').click();
    await page.getByTestId('head-total').click();
    await page.locator('[aria-sort=descending]').waitFor();
    const expected = Array.from({ length: 500 }, (_, number) => order(number))
      .filter(({ status, total }) => status === 'paid' && total >= 900)
      .sort((a, b) => b.total - a.total)
      .map(({ id }) => id);
    const top = async (of: Page) => (await ids(of)).slice(0, 5);
    await expect.poll(() => top(page)).toEqual(expected.slice(0, 5));
    const linked = await open(page.url().slice(server.url.length + 1));
    await expect.poll(() => top(linked)).toEqual(expected.slice(0, 5));
    await expect.poll(() => linked.getByTestId('count').innerText()).toBe(`${expected.length} rows`);
    await linked.getByTestId('filter').fill('status');
    await linked.getByTestId('filter').press('Enter');
    await expect.poll(() => linked.getByRole('alert').innerText()).toContain('Write an operator after status');
  });

  it('takes an edit back that the server refuses, and says why', async () => {
    const schema = { fields: { email: { field_type: 'String', unique: true }, age: { field_type: 'Integer', max: 150 } } };
    await call(server.url, 'POST', '/api/collections/people', schema);
    for (const [id, age] of [['ada', 36], ['bob', 41]] as const) {
      await call(server.url, 'POST', '/api/insert/people', { id, age, email: `${id}@example.org` });
    }
    const page = await open('#/d/people');
    await type(page, 'ada', 'age', '999');
    await page.getByTestId('trouble').waitFor();
    await expect.poll(() => page.getByTestId('trouble').innerText()).toMatch(/150/);
    await expect.poll(() => text(page, 'ada', 'age')).toBe('36');
    await picture(page, '21-data-refused');
    await type(page, 'ada', 'age', 'old');
    await expect.poll(() => page.getByRole('alert').last().innerText()).toContain('“old” is not a number');
    await page.keyboard.press('Escape');
    await type(page, 'bob', 'email', 'ada@example.org');
    await expect.poll(() => page.getByTestId('trouble').innerText()).toMatch(/email/);
    await expect.poll(() => text(page, 'bob', 'email')).toBe('bob@example.org');
  });

  it('adds, changes and deletes a record as JSON', async () => {
    const page = await open('#/d/people');
    await page.getByTestId('add-row').click();
    await page.getByTestId('record-editor').fill('{"id": "eve", "age": 29');
    await page.getByTestId('save-record').click();
    await expect.poll(() => page.getByTestId('record-trouble').innerText()).toContain('not JSON');
    await page.getByTestId('record-editor').fill('{"id": "eve", "age": 29, "tags": ["new"]}');
    await page.getByTestId('record-editor').press('Control+Enter');
    await cell(page, 'eve', 'age').waitFor();
    await expect.poll(() => page.getByTestId('record-json').innerText()).toContain('"new"');
    await picture(page, '22-data-record');
    await page.getByTestId('edit-record').click();
    await page.getByTestId('record-editor').fill('{"age": 30}');
    await page.getByTestId('save-record').click();
    await expect.poll(() => text(page, 'eve', 'age')).toBe('30');
    await page.getByTestId('delete-record').click();
    await page.getByTestId('confirm-delete').click();
    await cell(page, 'eve', 'age').waitFor({ state: 'detached' });
    await expect.poll(() => page.getByTestId('record').count()).toBe(0);
  });

  it('is used with the keyboard alone', async () => {
    const page = await open('#/d/orders');
    await live(page);
    await page.getByTestId('grid').focus();
    for (const key of ['ArrowDown', 'ArrowRight', 'ArrowRight', 'Enter']) await page.keyboard.press(key);
    await page.getByTestId('cell-editor').fill('Turku');
    await page.keyboard.press('Tab');
    await expect.poll(() => text(page, 'o000001', 'city')).toBe('Turku');
    await expect.poll(() => page.locator('[aria-selected=true]').getAttribute('data-field')).toBe('status');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Space');
    await expect.poll(() => page.getByTestId('record-json').innerText()).toContain('"Turku"');
    await page.getByTestId('record-json').focus();
    await page.keyboard.press('Escape');
    await expect.poll(() => page.getByTestId('record').count()).toBe(0);
    await page.keyboard.press('Control+End');
    await cell(page, 'o000499', 'city').waitFor();
    await page.keyboard.press('/');
    await expect.poll(() => page.getByTestId('filter').evaluate((field) => field === document.activeElement)).toBe(true);
  });

  it('goes on after the server was killed and started again', async () => {
    const [one, two] = [await open('#/d/orders'), await open('#/d/orders?filter=express+%3D+true')];
    await live(one);
    await live(two);
    const frames: string[] = [];
    one.on('websocket', (socket) => socket.on('framesent', ({ payload }) => frames.push(String(payload))));
    await server.kill();
    await one.locator('[data-testid=live][data-short=Reconnecting]').waitFor();
    await picture(one, '23-data-offline');
    expect(await text(one, 'o000003', 'customer')).toBe('Edsger Dijkstra');
    await server.restart();
    // Written before the pages are back: they learn of it from where they were.
    await call(server.url, 'PUT', '/api/update/orders/o000000', { customer: 'Katherine Johnson' });
    for (const page of [one, two]) {
      await page.getByTestId('try-now').click({ timeout: 1_000 }).catch(() => undefined);
      await live(page);
      await expect.poll(() => text(page, 'o000000', 'customer')).toBe('Katherine Johnson');
    }
    expect(frames.filter((frame) => frame.includes('"Subscribe"')).every((frame) => frame.includes('after_offset'))).toBe(true);
    expect(frames.filter((frame) => frame.includes('"Query"'))).toEqual([]);
  });

  it('says what is wrong or missing in each state', async () => {
    const page = await open('#/d/nothing_here');
    await expect.poll(() => page.getByTestId('placeholder').innerText()).toContain('There is nothing in nothing_here yet');
    await call(server.url, 'POST', '/api/insert/nothing_here', { id: 'first', name: 'now there is' });
    await cell(page, 'first', 'name').waitFor();
    await page.getByTestId('filter').fill('name = nobody');
    await page.getByTestId('filter').press('Enter');
    await expect.poll(() => page.getByTestId('placeholder').innerText()).toContain('No row fits this filter');
    const list = await open('#/d');
    await expect.poll(() => list.getByTestId('collections').first().innerText()).toContain('orders');
  });

  it('has no serious fault that axe finds, and is used with fingers', async () => {
    const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
    const phone = await open('#/d/orders', { viewport: PHONE, hasTouch: true, isMobile: true, colorScheme: 'dark' });
    const desktop = await open('#/d/orders');
    for (const page of [phone, desktop]) {
      await live(page);
      await page.evaluate(axe);
      const found = (await page.evaluate(`axe.run({ resultTypes: ['violations'] })`)) as { violations: { id: string; impact: string; nodes: unknown[] }[] };
      expect(found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id }) => id)).toEqual([]);
    }
    await picture(phone, '24-data-phone');
    await cell(phone, 'o000003', 'city').tap();
    await cell(phone, 'o000003', 'city').tap();
    await phone.getByTestId('cell-editor').fill('Mons');
    await phone.getByTestId('cell-editor').press('Enter');
    await expect.poll(() => text(desktop, 'o000003', 'city')).toBe('Mons');
  });
});

describe('a hundred thousand rows', () => {
  beforeAll(() => seedOrders(server.url, 'many', MANY), 180_000);

  it('scroll with few of them in the page, and the last is one key away', async () => {
    const page = await open('#/d/many');
    await live(page);
    await expect.poll(() => page.getByTestId('count').innerText()).toBe('100,000 rows');
    const most = await page.evaluate(async () => {
      const grid = document.querySelector('[data-testid=grid]') as HTMLElement;
      let rows = 0;
      for (let at = 0; at <= 40; at += 1) {
        grid.scrollTop = (grid.scrollHeight * at) / 40;
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        rows = Math.max(rows, document.querySelectorAll('[data-testid=row]').length);
      }
      return rows;
    });
    expect(most).toBeLessThan(MOST_ROWS);
    await cell(page, 'o099999', 'city').waitFor();
    await page.getByTestId('grid').focus();
    await page.keyboard.press('Control+Home');
    await cell(page, 'o000000', 'city').waitFor();
    await page.getByTestId('head-total').click();
    await page.getByTestId('head-total').click();
    await expect.poll(() => page.locator('[data-field=total]').first().innerText()).toBe('999.99');
    await page.keyboard.press('Control+End');
    await page.getByTestId('grid').focus();
    await page.keyboard.press('Control+End');
    await expect.poll(() => page.locator('[data-field=total]').last().innerText()).toBe('0');
    expect(await page.getByTestId('row').count()).toBeLessThan(MOST_ROWS);
  });
});

describe('a server with keys', () => {
  const admin = 'an-admin-key-for-this-test-alone';
  let guarded: TidewireServer;
  let reader: string;

  beforeAll(async () => {
    guarded = await TidewireServer.start('scripted', { TIDEWIRE_API_KEYS: admin, TIDEWIRE_API_KEY: admin });
    for (const collection of ['notes', 'secrets']) {
      await call(guarded.url, 'POST', `/api/insert/${collection}`, { id: 'n1', text: 'hello' }, admin);
    }
    reader = guarded.command('keys', 'add', '--grant', 'notes:read');
  });
  afterAll(() => guarded?.stop());

  async function signIn(page: Page, key: string): Promise<void> {
    await page.getByTestId('sign-in').waitFor();
    await page.getByLabel('Key').fill(key);
    await page.keyboard.press('Enter');
  }

  it('shows what the key may read, refuses what it may not, and forgets it at the end', async () => {
    const page = await (await browser.newContext()).newPage();
    pages.push(page);
    await page.goto(`${guarded.url}/#/d/notes`);
    await signIn(page, reader);
    await live(page);
    await expect.poll(() => page.getByTestId('collections').innerText()).toMatch(/^notes\s*1$/);
    await type(page, 'n1', 'text', 'mine');
    await page.getByTestId('trouble').waitFor();
    await expect.poll(() => text(page, 'n1', 'text')).toBe('hello');
    await page.goto(`${guarded.url}/#/d/secrets`);
    await expect.poll(() => page.getByTestId('placeholder').innerText()).toContain('secrets');
    expect(await page.getByTestId('row').count()).toBe(0);
    await page.locator('[data-testid=live][data-short="Not live"]').waitFor();
    await picture(page, '25-data-forbidden');
    await page.keyboard.press('Control+k');
    await page.getByRole('combobox').fill('sign out');
    await page.keyboard.press('Enter');
    await signIn(page, admin);
    await cell(page, 'n1', 'text').waitFor();
    await type(page, 'n1', 'text', 'changed');
    await expect.poll(() => call(guarded.url, 'GET', '/api/find/secrets/n1', undefined, admin)).toMatchObject({ text: { value: 'changed' } });
  });
});
