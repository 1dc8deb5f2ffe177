//! The page against the scripted server: what a person sees in each state, and what the policy keeps out.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DESKTOP, PHONE, launch } from './support/browser.mjs';
import { startMock } from './support/mock-server.mjs';
import { ask, fold, lastAnswer, settled } from './support/page.ts';

type Mock = Awaited<ReturnType<typeof startMock>>;

let browser: Browser;
let mock: Mock;
let context: BrowserContext;
const complaints: string[] = [];

beforeAll(async () => {
  browser = await launch();
});
afterAll(async () => {
  await browser?.close();
});
afterEach(async () => {
  await context?.close();
  await mock?.close();
  complaints.length = 0;
});

/** A page at session `s1` of a new server. */
async function open(options: Parameters<typeof startMock>[0] = {}, device: object = { viewport: DESKTOP }): Promise<Page> {
  mock = await startMock({ tokenMs: 2, ...options });
  context = await browser.newContext({ colorScheme: 'light', ...device });
  return openTab();
}

async function openTab(session = 's1'): Promise<Page> {
  const page = await context.newPage();
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(`${mock.url}/#/c/${session}`);
  return page;
}

const status = (page: Page) => page.getByTestId('connection-status');
/** Comes back at once, unless it has already. */
async function comeBack(page: Page): Promise<void> {
  await status(page).getByTestId('try-now').click({ timeout: 500 }).catch(() => undefined);
  await expect.poll(() => status(page).getAttribute('data-short'), { timeout: 10_000 }).toBe('Online');
}
const texts = async (page: Page, id: string) => (await page.getByTestId(id).allInnerTexts()).map(fold);

describe('a conversation', () => {
  it('begins with a suggestion and streams its answer with tools and a diagram', async () => {
    const page = await open();
    await page.getByTestId('suggestion').nth(1).click();
    await settled(page, 1);
    await expect.poll(() => texts(page, 'message-user')).toEqual(['How are purchase orders related to suppliers?']);
    await expect.poll(() => texts(page, 'tool-row')).toEqual(['Looked up relationships factv_purchase_order · 120 ms']);
    await expect.poll(() => lastAnswer(page)).toContain('names one supplier through supplier_key');
    await page.locator('[data-testid=diagram] svg').waitFor();
    expect(complaints).toEqual([]);
  });

  it('opens a row of work below itself: it stays where it was clicked', async () => {
    const page = await open({}, { viewport: { width: 1280, height: 480 } });
    await ask(page, 'late delivery');
    await settled(page, 1);
    const row = page.getByRole('button', { name: 'Used 4 tools' });
    const before = await row.boundingBox();
    await row.click();
    await page.getByTestId('tool-row').first().getByRole('button').click();
    await page.getByTestId('to-end').waitFor();
    expect((await row.boundingBox())?.y).toBe(before?.y);
  });

  it('opens a tool row to its arguments and result', async () => {
    const page = await open();
    await ask(page, 'relationship');
    await settled(page, 1);
    await page.getByTestId('tool-row').getByRole('button').click();
    await page.getByText('"table_name": "factv_purchase_order"').waitFor();
    await expect.poll(() => page.getByTestId('tool-row').getByRole('row').count()).toBe(5);
  });

  it('announces the finished answer once and not its tokens', async () => {
    const page = await open();
    await ask(page, 'hello');
    await settled(page, 1);
    await expect.poll(() => page.getByTestId('announcer').innerText()).toContain('Answer: Hello!');
  });

  it('queues a second question, which can be withdrawn', async () => {
    const page = await open();
    await ask(page, 'slow one');
    await page.getByTestId('stop').waitFor();
    await ask(page, 'second');
    await page.getByTestId('queued').getByRole('button', { name: 'Withdraw' }).click();
    await page.getByText('Stopped before it began').waitFor();
    await expect.poll(() => page.getByTestId('stop').count()).toBe(1);
  });

  it('keeps what was written when it is stopped from another tab', async () => {
    const page = await open();
    await ask(page, 'slow one');
    await page.getByText('The order line').first().waitFor();
    const other = await openTab();
    await other.getByTestId('stop').click();
    await page.getByText('Stopped. What was written is kept').waitFor();
    await settled(page, 1);
    await settled(other, 1);
    const kept = await texts(page, 'message-agent');
    await expect.poll(() => texts(other, 'message-agent')).toEqual(kept);
  });

  it('says why an answer failed and asks again on request', async () => {
    const page = await open();
    await ask(page, 'please fail');
    await page.getByText('The model stopped answering').waitFor();
    await expect.poll(() => lastAnswer(page)).toContain('Purchase orders are kept in');
    await page.getByTestId('ask-again').click();
    await expect.poll(() => page.getByTestId('message-user').count()).toBe(2);
  });
});

describe('a question', () => {
  it('is copied, changed and asked again, and what is being written is kept', async () => {
    const page = await open();
    await ask(page, 'hello');
    await settled(page, 1);
    await page.getByTestId('composer').fill('and then');
    await page.getByTestId('message-user').hover();
    await page.getByTestId('edit-question').click();
    await expect.poll(() => page.getByTestId('composer').inputValue()).toBe('and then\nhello');
    await page.getByTestId('composer').fill('');
    await page.getByTestId('edit-question').click();
    await expect.poll(() => page.getByTestId('composer').inputValue()).toBe('hello');
    await page.getByTestId('ask-anew').click();
    await settled(page, 2);
    expect(await texts(page, 'message-user')).toEqual(['hello', 'hello']);
  });

  it('is copied also where the browser hides its clipboard', async () => {
    const page = await open();
    await page.addInitScript(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
    await page.reload();
    await ask(page, 'hello');
    await settled(page, 1);
    await page.getByRole('button', { name: 'Copy the question' }).click();
    await page.getByRole('button', { name: 'Copied' }).waitFor();
    await page.getByTestId('composer').focus();
    await page.keyboard.press('Control+v');
    await expect.poll(() => page.getByTestId('composer').inputValue()).toBe('hello');
    expect(complaints).toEqual([]);
  });

  it('leaves the focus where the next one is written', async () => {
    const page = await open();
    const isWriting = () => page.getByTestId('composer').evaluate((field) => field === document.activeElement);
    await page.getByTestId('suggestion').first().click();
    await expect.poll(isWriting).toBe(true);
    await settled(page, 1);
    await ask(page, 'slow one');
    await page.getByTestId('stop').click();
    await page.getByTestId('run-ending').waitFor();
    await expect.poll(isWriting).toBe(true);
    await page.getByTestId('ask-again').click();
    await page.getByTestId('stop').waitFor();
    await expect.poll(isWriting).toBe(true);
  });

  it('that is answered while nobody looks is marked in the title of the tab', async () => {
    const page = await open();
    const look = (state: string) => page.evaluate((now) => {
      Object.defineProperty(document, 'visibilityState', { value: now, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, state);
    await ask(page, 'slow one');
    await page.getByTestId('stop').waitFor();
    await look('hidden');
    mock.session('s1').stop(mock.session('s1').run.id);
    await expect.poll(() => page.title()).toBe('● slow one · Tidewire');
    await look('visible');
    await expect.poll(() => page.title()).toBe('slow one · Tidewire');
  });
});

describe('a long answer', () => {
  it('is followed to its end, but not against the person', async () => {
    const page = await open();
    const session = mock.session('s1');
    session.holdsAt = 4_000;
    await ask(page, 'a long one');
    const box = page.locator('main .overflow-y-auto').first();
    const belowEnd = () => box.evaluate((element) => element.scrollHeight - element.clientHeight - element.scrollTop);
    // Until it is held: what still came would be new below.
    await expect.poll(async () => (await page.getByTestId('message-agent').innerText()).length).toBeGreaterThan(3_800);
    await expect.poll(belowEnd).toBeLessThan(100);
    await box.hover();
    await page.mouse.wheel(0, -600);
    await page.getByTestId('to-end').waitFor();
    session.holdsAt = 8_000;
    await page.getByTestId('new-below').waitFor();
    const top = await box.evaluate((element) => element.scrollTop);
    await page.getByText('Part 12', { exact: true }).waitFor();
    expect(await box.evaluate((element) => element.scrollTop)).toBe(top);
    session.holdsAt = Infinity;
    await page.getByTestId('new-below').click();
    await expect.poll(belowEnd).toBeLessThan(100);
    await expect.poll(() => page.getByTestId('new-below').count()).toBe(0);
  });

  it('is left upwards, and there is a way back to its end', async () => {
    const page = await open();
    await ask(page, 'a long one');
    await settled(page, 1);
    const box = page.locator('main .overflow-y-auto').first();
    await box.hover();
    await page.mouse.wheel(0, -900);
    await page.getByTestId('to-end').click();
    await expect.poll(() => box.evaluate((element) => element.scrollHeight - element.clientHeight - element.scrollTop)).toBeLessThan(40);
    await expect.poll(() => page.getByTestId('to-end').count()).toBe(0);
  });

  it('keeps wide code and tables in boxes of their own', async () => {
    const page = await open({}, { viewport: PHONE, hasTouch: true, isMobile: true });
    await ask(page, 'something wide');
    await settled(page, 1);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(PHONE.width);
    const answer = await page.getByTestId('message-agent').boundingBox();
    for (const part of ['.code-box', '.table-box', '.prose']) {
      const inner = await page.locator(part).first().boundingBox();
      expect((inner?.x ?? 0) + (inner?.width ?? Infinity)).toBeLessThanOrEqual((answer?.x ?? 0) + (answer?.width ?? 0) + 1);
    }
  });
});

describe('over cuts and reloads', () => {
  it('shows every word once when the connection is cut in mid-answer', async () => {
    const page = await open();
    await ask(page, 'slow one');
    for (const wanted of [200, 500, 900]) {
      await page.waitForFunction((least) => (document.querySelector<HTMLElement>('[data-testid=message-agent]')?.innerText.length ?? 0) > least, wanted);
      mock.cut();
      await expect.poll(() => mock.sockets()).toBe(0);
      await comeBack(page);
    }
    await settled(page, 1);
    const answer = mock.session('s1').log.find((frame: { type: string }) => frame.type === 'agent');
    expect(await page.locator('[data-testid=message-agent] .prose').innerText().then(fold)).toBe(fold(answer.content));
  });

  it('goes on after a reload in mid-answer, with its stop button', async () => {
    const page = await open();
    await ask(page, 'slow one');
    await page.getByText('The order line').first().waitFor();
    await page.reload();
    await page.getByTestId('stop').waitFor();
    await page.getByText('The order line').first().waitFor();
    await expect.poll(() => texts(page, 'message-user')).toEqual(['slow one']);
  });

  it('keeps questions that are asked without a connection, and sends them once', async () => {
    const page = await open();
    await expect.poll(() => mock.sockets()).toBe(1);
    mock.state.down = true;
    mock.cut();
    await status(page).getByText('Connection lost').waitFor();
    await ask(page, 'hello');
    await ask(page, 'never mind');
    await page.getByTestId('outbox-item').nth(1).getByTestId('withdraw').click();
    await expect.poll(() => page.getByTestId('outbox-item').count()).toBe(1);
    mock.state.down = false;
    await comeBack(page);
    await settled(page, 1);
    await expect.poll(() => texts(page, 'message-user')).toEqual(['hello']);
    await expect.poll(() => page.getByTestId('outbox-item').count()).toBe(0);
    expect(mock.session('s1').accepted.size).toBe(1);
  });

  it('keeps an unsent question over a reload', async () => {
    const page = await open();
    await expect.poll(() => mock.sockets()).toBe(1);
    const down = async () => {
      await page.route('**/api/chats', (route) => route.abort());
      mock.cut();
    };
    await down();
    await status(page).getByText('Connection lost').waitFor();
    await ask(page, 'hello');
    await page.reload();
    await expect.poll(() => texts(page, 'outbox-item')).toEqual([expect.stringContaining('hello')]);
    await page.unroute('**/api/chats');
    await settled(page, 1);
    expect(mock.session('s1').accepted.size).toBe(1);
  });

  it('lists a chat whose first question has not left yet', async () => {
    const page = await open();
    await expect.poll(() => mock.sockets()).toBe(1);
    mock.state.down = true;
    mock.cut();
    await status(page).getByText('Connection lost').waitFor();
    await ask(page, 'Which orders are late?');
    await page.getByTestId('new-chat').click();
    await page.getByTestId('chats').getByText('Which orders are late?').click();
    await page.getByTestId('outbox-item').getByText('Which orders are late?').waitFor();
  });

  it('gives up after five tries and comes back when asked', async () => {
    const page = await open();
    await expect.poll(() => mock.sockets()).toBe(1);
    mock.state.down = true;
    mock.cut();
    const tried = async () => Number(/\((\d) of 5\)/.exec(await status(page).innerText())?.[1] ?? 0);
    // Each try is asked for; waiting for them would take half a minute. One may begin by itself before it is asked for.
    for (let attempt = 1; attempt <= 5; attempt++) {
      await expect.poll(tried).toBeGreaterThanOrEqual(attempt);
      if ((await tried()) === attempt) await status(page).getByTestId('try-now').click();
    }
    await status(page).getByText('Connection failed after 5 retries').waitFor();
    mock.state.down = false;
    await page.getByTestId('try-now').click();
    await expect.poll(() => status(page).getAttribute('data-short')).toBe('Online');
  });
});

describe('honest states', () => {
  it.each([
    [4001, 'Invalid session. Please start a new chat.'],
    [4003, 'does not accept pages from'],
  ])('says what close code %i means', async (code, sentence) => {
    mock = await startMock();
    mock.state.refuse = code;
    context = await browser.newContext({ viewport: DESKTOP });
    const page = await openTab();
    await status(page).getByText(sentence).waitFor();
  });

  it('starts a new chat from an invalid one', async () => {
    const page = await open();
    await page.goto(`${mock.url}/#/c/not%20valid`);
    await status(page).getByText('Invalid session.').waitFor();
    await status(page).getByRole('button', { name: 'New chat' }).click();
    await expect.poll(() => status(page).getAttribute('data-short')).toBe('Online');
  });

  it('keeps a question that came too early, and sends it only when told to', async () => {
    const page = await open();
    await ask(page, 'too many');
    await page.getByText('You can send it again in').waitFor();
    await expect.poll(() => page.getByTestId('send-again').isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Edit' }).click();
    await expect.poll(() => page.getByTestId('composer').inputValue()).toBe('too many');
    await expect.poll(() => page.getByTestId('outbox-item').count()).toBe(0);
  });

  it('asks for a key, and keeps it for this tab only', async () => {
    const page = await open({ key: 'secret' });
    await page.getByLabel('Key').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('This key is not valid').waitFor();
    await page.getByLabel('Key').fill('secret');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await ask(page, 'hello');
    await settled(page, 1);
    expect(await page.evaluate(() => JSON.stringify(localStorage))).not.toContain('secret');
    await page.getByRole('button', { name: 'More' }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.getByTestId('sign-in').waitFor();
    expect(await page.evaluate(() => JSON.stringify(sessionStorage))).not.toContain('secret');
  });

  it('says how to import data when there is none', async () => {
    const page = await open({ tables: 0 });
    await page.getByText('tidewire import orders.csv --collection orders').waitFor();
    expect(await page.getByTestId('suggestion').count()).toBe(0);
  });
});

describe('the canvas', () => {
  it('does not open against little confidence, but offers the diagram', async () => {
    const page = await open();
    await ask(page, 'maybe a relationship');
    await settled(page, 1);
    expect(await page.getByTestId('canvas').count()).toBe(0);
    await page.getByTestId('show-diagram').click();
    await page.locator('[data-testid=diagram] svg').waitFor();
  });

  it('stays as it is while it is pinned', async () => {
    const page = await open();
    await ask(page, 'Show me all tables');
    await page.getByTestId('tables').waitFor();
    await page.getByRole('button', { name: 'Pin this view' }).click();
    await ask(page, 'relationship');
    await settled(page, 2);
    expect(await page.getByTestId('tables').isVisible()).toBe(true);
  });

  it('zooms, fits and exports the diagram', async () => {
    const page = await open();
    await ask(page, 'relationship');
    await page.locator('[data-testid=diagram] svg').waitFor();
    const before = await page.getByTestId('zoom').innerText();
    await page.getByRole('button', { name: 'Zoom in' }).click();
    await expect.poll(() => page.getByTestId('zoom').innerText()).not.toBe(before);
    await page.getByRole('button', { name: 'Fit the diagram' }).click();
    await expect.poll(() => page.getByTestId('zoom').innerText()).toBe(before);
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByTestId('export-svg').click()]);
    const svg = readFileSync(await download.path(), 'utf8');
    expect(download.suggestedFilename()).toBe('relationship.svg');
    expect(svg).toContain('factv_purchase_order');
    expect(svg).not.toMatch(/<script|<foreignObject|javascript:/i);
    expect(complaints).toEqual([]);
  });

  it('filters tables and asks about one', async () => {
    const page = await open();
    await page.getByTestId('toggle-canvas').click();
    await page.getByRole('tab', { name: 'Tables' }).click();
    await page.getByLabel('Filter tables').fill('supplier planning');
    await page.getByText(/^\d+ of 90$/).waitFor();
    await page.getByTestId('table-row').first().click();
    expect((await texts(page, 'message-user'))[0] ?? (await texts(page, 'outbox-item'))[0]).toMatch(/^What is in dimv_supplier/);
  });
});

describe('keys', () => {
  it('are listed when asked for, from the keyboard and from the menu', async () => {
    const page = await open();
    await page.getByTestId('suggestion').first().waitFor();
    await page.getByRole('button', { name: 'More' }).focus();
    await page.keyboard.press('?');
    await page.getByTestId('keys-help').getByText('Stop the answer').waitFor();
    await page.keyboard.press('Escape');
    await expect.poll(() => page.getByTestId('keys-help').count()).toBe(0);
    await page.getByRole('button', { name: 'More' }).click();
    await page.getByRole('menuitem', { name: 'Keyboard shortcuts' }).click();
    await page.getByTestId('keys-help').waitFor();
    await page.keyboard.press('Escape');
    // In a question it is a letter.
    await page.getByTestId('composer').fill('why');
    await page.getByTestId('composer').press('?');
    await expect.poll(() => page.getByTestId('composer').inputValue()).toBe('why?');
  });

  it('leave the focus where it was when what they opened is closed', async () => {
    const page = await open();
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label'));
    await page.getByTestId('suggestion').first().waitFor();
    for (const key of ['?', 'Control+k']) {
      await page.getByRole('button', { name: 'Open the canvas' }).focus();
      await page.keyboard.press(key);
      await page.getByRole('dialog').waitFor();
      await page.keyboard.press('Escape');
      await expect.poll(focused).toBe('Open the canvas');
    }
    await page.getByRole('button', { name: 'More' }).press('Enter');
    await page.getByRole('menuitem', { name: 'Keyboard shortcuts' }).press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await expect.poll(focused).toBe('More');
    await ask(page, 'hello');
    await settled(page, 1);
    await page.getByRole('button', { name: 'More' }).press('Enter');
    await page.getByRole('menuitem', { name: 'Rename' }).press('Enter');
    // Its field, and not the menu's button, has the focus while it is open.
    await expect.poll(focused).toBe('Title');
    await page.keyboard.press('Escape');
    await expect.poll(focused).toBe('More');
    // What an action focuses itself stays so.
    await page.keyboard.press('Control+k');
    await page.keyboard.type('new chat');
    await page.keyboard.press('Enter');
    await expect.poll(focused).toBe('Your question');
  });

  it('reach the composer, stop, edit the last question, and find things', async () => {
    const page = await open();
    await page.getByTestId('suggestion').first().waitFor();
    // A place where nothing is: the middle of the page has suggestions.
    await page.locator('h1').first().click();
    await page.keyboard.press('/');
    await page.keyboard.type('slow one');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('two lines');
    await page.keyboard.press('Enter');
    await page.getByTestId('stop').waitFor();
    await page.keyboard.press('Escape');
    await page.getByTestId('run-ending').waitFor();
    await page.keyboard.press('ArrowUp');
    await expect.poll(() => page.getByTestId('composer').inputValue()).toBe('slow one\ntwo lines');
    await page.keyboard.press('Control+k');
    await page.keyboard.type('show the tables');
    await page.keyboard.press('Enter');
    await page.getByTestId('tables').waitFor();
  });
});

describe('an answer that means harm', () => {
  it('is text: no image is fetched, nothing runs', async () => {
    const page = await open();
    const foreign: string[] = [];
    page.on('request', (request) => request.url().startsWith(mock.url) || foreign.push(request.url()));
    await ask(page, 'hostile');
    await settled(page, 1);
    expect(await page.evaluate(() => 'broken' in window)).toBe(false);
    expect(await page.locator('.prose img, .prose script').count()).toBe(0);
    expect(await page.locator('.prose a').evaluateAll((links) => links.map((link) => [link.getAttribute('href'), link.getAttribute('rel')]))).toEqual([
      ['https://example.org/pixel.png?data=secret', 'noopener noreferrer nofollow'],
      ['https://example.org/', 'noopener noreferrer nofollow'],
    ]);
    expect(foreign.filter((url) => /^https?:/.test(url))).toEqual([]);
  });
});

describe('a diagram that means harm', () => {
  it('is drawn without its markup, and fetches nothing', async () => {
    const page = await open();
    const foreign: string[] = [];
    page.on('request', (request) => request.url().startsWith(mock.url) || foreign.push(request.url()));
    await ask(page, 'odd diagram');
    await page.locator('[data-testid=diagram] svg').waitFor();
    const svg = page.locator('[data-testid=diagram] svg');
    expect(await svg.textContent()).toContain('say "hi" & more');
    expect(await svg.locator('script, foreignObject, img, image, [onerror], [onclick]').count()).toBe(0);
    expect(foreign.filter((url) => /^https?:/.test(url))).toEqual([]);
    expect(await page.evaluate(() => 'broken' in window)).toBe(false);
    // Not even the policy had something to stop.
    expect(complaints).toEqual([]);
    await page.getByRole('list', { name: 'Tables of the diagram' }).getByText('and 7 more tables').waitFor();
  });

  it('is shown as text when it cannot be drawn', async () => {
    const page = await open();
    await ask(page, 'bad diagram');
    await page.getByText('This diagram cannot be drawn').waitFor();
    await page.getByText('a }o--|| : x').waitFor();
    await expect.poll(() => lastAnswer(page)).toContain('Here it is.');
  });
});

describe('for everybody', () => {
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

  /** What the accessibility checker finds wrong, one line each. */
  async function faults(page: Page): Promise<string[]> {
    // As a page function, because the policy forbids an inline script.
    await page.evaluate(axe);
    const found = await page.evaluate(async () => {
      const result = await (window as unknown as { axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } }).axe.run();
      return result.violations;
    });
    return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`);
  }

  it.each(['light', 'dark'] as const)('has no fault that a checker finds, %s', async (colorScheme) => {
    const page = await open({}, { viewport: DESKTOP, colorScheme, reducedMotion: 'reduce' });
    await page.getByTestId('suggestion').first().waitFor();
    expect(await faults(page)).toEqual([]);
    await ask(page, 'relationship');
    await page.locator('[data-testid=diagram] svg').waitFor();
    await ask(page, 'please fail');
    await page.getByTestId('run-ending').waitFor();
    expect(await faults(page)).toEqual([]);
  });

  it('is one column on a phone, with sheets for chats and canvas', async () => {
    const page = await open({}, { viewport: PHONE, hasTouch: true, isMobile: true });
    await ask(page, 'relationship');
    await settled(page, 1);
    expect(await page.getByTestId('canvas').count()).toBe(0);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(PHONE.width);
    await page.getByTestId('show-diagram').click();
    await page.locator('[data-testid=diagram] svg').waitFor();
    expect(await faults(page)).toEqual([]);
    await page.getByTestId('close-canvas').click();
    await page.getByRole('button', { name: 'Chats', exact: true }).click();
    await page.getByTestId('chats').getByText('relationship').waitFor();
  });
});
