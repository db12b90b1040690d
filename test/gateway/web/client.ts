/** A small HTTP/2 client that trusts the page's own authority, for tests of the server. */

import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';
import type { TestPage } from '../../page/browser.ts';

export interface Answer {
  status: number;
  headers: Record<string, string>;
  cookies: string[];
  text: string;
}
export interface Request {
  method?: 'GET' | 'POST' | 'HEAD' | 'PUT';
  form?: Record<string, string>;
  body?: string;
  headers?: Record<string, string>;
}

export class Client {
  /** Sent with every request once logged in. */
  cookie = '';
  readonly origin: string;
  readonly #ca: string;

  constructor({ page, dataDir }: Pick<TestPage, 'page' | 'dataDir'>) {
    this.origin = page.url;
    this.#ca = readFileSync(join(dataDir, 'web/ca.crt'), 'utf8');
  }

  open() {
    const session = connect(this.origin, { ca: this.#ca });
    session.on('error', () => {}); // a page that closes resets what is open; who waits for an answer hears of it anyway
    return session;
  }

  async request(path: string, { method, form, body, headers }: Request = {}): Promise<Answer> {
    const session = this.open();
    try {
      const text = form ? new URLSearchParams(form).toString() : body;
      const stream = session.request({
        ':path': path,
        ':method': method ?? (text === undefined ? 'GET' : 'POST'),
        ...(this.cookie && { cookie: this.cookie }),
        ...(form && { 'content-type': 'application/x-www-form-urlencoded' }),
        ...((text !== undefined || method === 'POST') && { origin: this.origin }),
        ...headers,
      });
      stream.end(text);
      return await new Promise<Answer>((resolve, reject) => {
        let answer: Answer;
        session.on('error', reject);
        stream.on('error', reject);
        stream.on('response', ({ ':status': status, 'set-cookie': cookies, ...rest }) => {
          answer = { status: status!, headers: rest as Record<string, string>, cookies: cookies ?? [], text: '' };
        });
        stream.setEncoding('utf8');
        stream.on('data', (part: string) => {
          answer.text += part;
        });
        stream.on('end', () => resolve(answer));
      });
    } finally {
      session.close();
    }
  }

  async logIn(password: string): Promise<Answer> {
    const answer = await this.request('/login', { form: { password } });
    if (answer.cookies.length > 0) this.cookie = answer.cookies[0].split(';')[0];
    return answer;
  }

  /** Events of the live stream as they come, until `enough` says so. */
  async events(enough: (events: LiveMessage[]) => boolean): Promise<LiveMessage[]> {
    const session = this.open();
    const stream = session.request({ ':path': '/api/live', cookie: this.cookie });
    stream.setEncoding('utf8');
    const events: LiveMessage[] = [];
    let text = '';
    for await (const part of stream) {
      text += part;
      const blocks = text.split('\n\n');
      text = blocks.pop()!;
      for (const block of blocks) {
        const match = /^event: (\w+)\ndata: (.*)$/.exec(block);
        if (match) events.push({ event: match[1], data: JSON.parse(match[2]) });
      }
      if (enough(events)) break;
    }
    session.destroy();
    return events;
  }
}

export interface LiveMessage {
  event: string;
  // biome-ignore lint/suspicious/noExplicitAny: what came over the wire, as the test expects it
  data: any;
}
