/** Answers of a language model that speaks the chat completions protocol. */

import { type Answer, answerJson } from './http-server.ts';

export const chatAnswer = (content: string): Answer =>
  answerJson(200, {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1_767_225_600,
    model: 'small',
    choices: [
      { index: 0, finish_reason: 'stop', logprobs: null, message: { role: 'assistant', content, refusal: null } },
    ],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  });

export const programAnswer = (code: string): Answer => chatAnswer(`Here it is:\n\`\`\`python\n${code}\n\`\`\`\n`);
