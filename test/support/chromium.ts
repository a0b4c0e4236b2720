/**
 * A headless Chromium (Debian package `chromium`), driven over the DevTools protocol: pages as people see them.
 *
 * https://chromedevtools.github.io/devtools-protocol/
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { eventOf, withinBound } from './bounded.ts';
import { makeDirectory } from './directory.ts';

export interface Page {
  /** Resolves when the page has loaded. */
  open(url: string): Promise<void>;
  /** The value of an expression in the page, as JSON. A promise is waited for. */
  evaluate<T>(expression: string): Promise<T>;
  setScripts(enabled: boolean): Promise<void>;
  setColours(scheme: 'light' | 'dark'): Promise<void>;
  /** Size of the window, in CSS pixels. */
  setSize(width: number, height: number): Promise<void>;
  /** Presses and releases a key that writes nothing, such as Tab. */
  press(key: 'Tab' | 'Enter'): Promise<void>;
  /** PNG of the window. */
  screenshot(): Promise<Buffer>;
  /** What the page's console and security policy complained of. */
  readonly complaints: readonly string[];
}

export interface Browser {
  /** A page in a window of 1440 by 900. */
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

/** Undefined when there is no Chromium on this machine. */
export async function startChromium(): Promise<Browser | undefined> {
  if (spawnSync('chromium', ['--version']).status !== 0) {
    return undefined;
  }
  const profile = makeDirectory();
  const flags = [
    '--headless=new',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--window-size=1440,900',
  ];
  const child = spawn(
    'chromium',
    [...flags, '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const exited = once(child, 'exit');
  const listening = new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`chromium ended with ${code}`)));
    createInterface(child.stderr).on('line', (line) => {
      const [, url] = /^DevTools listening on (ws:.*)$/.exec(line) ?? [];
      if (url !== undefined) {
        resolve(url);
      }
    });
  });
  const connection = await connect(await withinBound(listening, 'the address of Chromium'));
  return {
    newPage: () => newPage(connection),
    close: async () => {
      await connection.send('Browser.close');
      await withinBound(exited, 'Chromium to end');
    },
  };
}

type Params = Readonly<Record<string, unknown>>;
/** Fields of any shape; each use says what it expects. */
type Result = Readonly<Record<string, unknown>>;

interface Message extends Result {
  readonly id?: number;
  readonly method?: string;
  readonly sessionId?: string;
  readonly params?: Params;
  readonly result?: Result;
  readonly error?: { readonly message: string };
}

interface Connection {
  send(method: string, params?: Params, sessionId?: string): Promise<Result>;
  listen(listener: (message: Message) => void): void;
}

async function connect(address: string): Promise<Connection> {
  const socket = new WebSocket(address);
  await eventOf(socket, 'open', 'the WebSocket');
  const waiting = new Map<number, (message: Message) => void>();
  const listeners: ((message: Message) => void)[] = [];
  socket.addEventListener('message', ({ data }) => {
    const message: Message = JSON.parse(String(data));
    if (message.id === undefined) {
      for (const listener of listeners) {
        listener(message);
      }
    } else {
      waiting.get(message.id)?.(message);
    }
  });
  let last = 0;
  return {
    listen: (listener) => void listeners.push(listener),
    send: (method, params = {}, sessionId) => {
      const { promise, resolve, reject } = Promise.withResolvers<Result>();
      last += 1;
      waiting.set(last, ({ result = {}, error }) =>
        error === undefined ? resolve(result) : reject(new Error(`${method}: ${error.message}`)),
      );
      socket.send(JSON.stringify({ id: last, method, params, ...(sessionId === undefined ? {} : { sessionId }) }));
      return withinBound(promise, `the answer of Chromium to ${method} ${JSON.stringify(params).slice(0, 200)}`);
    },
  };
}

async function newPage(connection: Connection): Promise<Page> {
  const { targetId } = await connection.send('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await connection.send('Target.attachToTarget', { targetId, flatten: true });
  const session = String(sessionId);
  const send = (method: string, params?: Params): Promise<Result> => connection.send(method, params, session);
  const complaints: string[] = [];
  let onLoad: (() => void) | undefined;
  connection.listen((message) => {
    if (message.sessionId !== session) {
      return;
    }
    if (message.method === 'Page.loadEventFired') {
      onLoad?.();
    }
    if (message.method === 'Log.entryAdded' || message.method === 'Runtime.exceptionThrown') {
      complaints.push(JSON.stringify(message.params));
    }
  });
  for (const domain of ['Page', 'Runtime', 'Log']) {
    await send(`${domain}.enable`);
  }
  return {
    complaints,
    open: async (url) => {
      const loaded = new Promise<void>((resolve) => {
        onLoad = resolve;
      });
      await send('Page.navigate', { url });
      await withinBound(loaded, `${url} to be loaded`);
    },
    evaluate: async <T>(expression: string): Promise<T> => {
      const { result, exceptionDetails } = await send('Runtime.evaluate', {
        ...{ expression, returnByValue: true, awaitPromise: true },
      });
      if (exceptionDetails !== undefined) {
        throw new Error(JSON.stringify(exceptionDetails));
      }
      return (result as { readonly value: T }).value;
    },
    setScripts: async (enabled) => void (await send('Emulation.setScriptExecutionDisabled', { value: !enabled })),
    setColours: async (scheme) => {
      const features = [{ name: 'prefers-color-scheme', value: scheme }];
      await send('Emulation.setEmulatedMedia', { features });
    },
    setSize: async (width, height) => {
      const metrics = { width, height, deviceScaleFactor: 1, mobile: false };
      await send('Emulation.setDeviceMetricsOverride', metrics);
    },
    press: async (key) => {
      const code = { Tab: 9, Enter: 13 }[key];
      const description = { key, code: key, windowsVirtualKeyCode: code, ...(key === 'Enter' ? { text: '\r' } : {}) };
      await send('Input.dispatchKeyEvent', { type: 'keyDown', ...description });
      await send('Input.dispatchKeyEvent', { type: 'keyUp', ...description });
    },
    screenshot: async () => {
      const { data } = await send('Page.captureScreenshot', { format: 'png' });
      return Buffer.from(String(data), 'base64');
    },
  };
}
