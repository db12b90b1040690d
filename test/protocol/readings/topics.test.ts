import test from 'ava';
import { parseAnswerTopic, parseSubmitTopic, TOPICS } from '../../../protocol/readings/topics.ts';

const ADDRESS = '0123456789abcdef0123';

test('topics are those of the table, and are parsed back', (t) => {
  t.is(TOPICS.submit('north-1', ADDRESS), `quietmeter/readings/submit/north-1/${ADDRESS}`);
  t.is(TOPICS.answer(ADDRESS), `quietmeter/readings/answer/${ADDRESS}`);
  t.deepEqual(parseSubmitTopic(TOPICS.submit('north-1', ADDRESS)), { area: 'north-1', address: ADDRESS });
  t.is(parseAnswerTopic(TOPICS.answer(ADDRESS)), ADDRESS);
});

test('what is not exactly such a topic is none', (t) => {
  const submit = 'quietmeter/readings/submit';
  for (const topic of [
    submit,
    `${submit}/`,
    `${submit}/north-1`,
    `${submit}/north-1/`,
    `${submit}/north-1/${ADDRESS}/x`,
    `${submit}/north-1/${ADDRESS.toUpperCase()}`,
    `${submit}/+/${ADDRESS}`,
    `${submit}/north-1/+`,
    `${submit}//${ADDRESS}`,
    `/${submit}/north-1/${ADDRESS}`,
    TOPICS.answer(ADDRESS),
    TOPICS.listening,
  ])
    t.is(parseSubmitTopic(topic), undefined, topic);
  for (const topic of [TOPICS.answer('x'), `${TOPICS.answer(ADDRESS)}/y`, TOPICS.answer('+'), TOPICS.listening])
    t.is(parseAnswerTopic(topic), undefined, topic);
});
