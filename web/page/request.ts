/** Questions to the page's own server. A session that has ended leads to the login. */

/** The server's no: its own sentence, and the field that is at fault, where one is. */
export class Refused extends Error {
  readonly path: string | undefined;
  constructor(sentence: string, path?: string) {
    super(sentence);
    this.path = path;
  }
}

/** With a body it is a POST. @throws Refused, or another Error where nobody answers */
export async function request<T>(path: string, method: 'GET' | 'POST' = 'GET', body?: object): Promise<T> {
  const response = await fetch(path, {
    method,
    headers: { accept: 'application/json', ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (response.status === 401) location.assign('/login');
  const answer = await response.json();
  if (!response.ok) throw new Refused(answer.error ?? 'there was no answer', answer.path);
  return answer;
}
