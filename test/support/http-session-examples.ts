/** Examples of requests to sessions, in the order in which they are sent, and a controller and an agent that play their part. */

import { readyCondition } from '../../src/api/conditions.ts';
import { API_VERSION, REPL_SESSIONS, SANDBOX_CLASSES } from '../../src/api/group.ts';
import type { ReplSession } from '../../src/api/replsession.ts';
import { anExit, BridgeAgent, type Rule } from './bridge-agent.ts';
import type { FakeKube } from './fake-kube.ts';
import type { Example } from './http-examples.ts';

const JSON_TYPE = "-H 'content-type: application/json'";
const SESSION = '$CODERUN_URL/v1/sessions/notebook';

/** The files that the commands upload. */
export const UPLOADS: Record<string, string> = { 'a.csv': 'a,b\n1,2\n' };

export const SESSION_EXAMPLES: Example[] = [
  {
    operation: 'createSession',
    says: 'With packages to come, and waited for until it is ready:',
    curl: `curl -s "$CODERUN_URL/v1/sessions?wait=30" ${JSON_TYPE} -d '{"name": "notebook", "className": "packages", "idleTimeoutSeconds": 600}'`,
    status: 201,
  },
  {
    operation: 'createSession',
    says: 'With an Idempotency-Key it may be sent again after whatever failure, and is one session:',
    curl: `curl -s "$CODERUN_URL/v1/sessions?wait=30" ${JSON_TYPE} -H 'idempotency-key: 5f0f2ad5-91c2' -d '{}'`,
    status: 201,
  },
  {
    operation: 'listSessions',
    says: 'One a page:',
    curl: 'curl -s "$CODERUN_URL/v1/sessions?limit=1"',
    status: 200,
  },
  { operation: 'getSession', says: 'A session that is ready:', curl: `curl -s ${SESSION}`, status: 200 },
  {
    operation: 'getSession',
    says: 'A session that there is not:',
    curl: 'curl -s $CODERUN_URL/v1/sessions/nothing',
    status: 404,
  },
  {
    operation: 'executeInSession',
    says: 'The value of the last expression comes back:',
    curl: `curl -s ${SESSION}/execute ${JSON_TYPE} -d '{"code": "x = 6 * 7\\nx"}'`,
    status: 200,
  },
  {
    operation: 'executeInSession',
    says: 'Followed as it goes, with what the one before left behind:',
    curl: `curl -sN ${SESSION}/execute ${JSON_TYPE} -H 'accept: text/event-stream' -d '{"code": "print(x)"}'`,
    status: 200,
  },
  {
    operation: 'executeInSession',
    says: 'A program that fails is no error of the request, and ends nothing:',
    curl: `curl -s ${SESSION}/execute ${JSON_TYPE} -d '{"code": "1/0"}'`,
    status: 200,
  },
  { operation: 'interruptSession', says: '', curl: `curl -s -X POST ${SESSION}/interrupt`, status: 204 },
  { operation: 'listVariables', says: '', curl: `curl -s ${SESSION}/variables`, status: 200 },
  {
    operation: 'restartSession',
    says: 'One interpreter, that of executions that name no other; without a body, all of them:',
    curl: `curl -s ${SESSION}/restart ${JSON_TYPE} -d '{"context": "default"}'`,
    status: 204,
  },
  {
    operation: 'writeFile',
    says: '',
    curl: `curl -s -T a.csv "${SESSION}/files/content?path=data/a.csv"`,
    status: 204,
  },
  { operation: 'listFiles', says: '', curl: `curl -s "${SESSION}/files?path=data"`, status: 200 },
  {
    operation: 'readFile',
    says: '',
    curl: `curl -s "${SESSION}/files/content?path=data/a.csv" -o a.csv`,
    status: 200,
  },
  {
    operation: 'readFile',
    says: 'A path leads nowhere but below the working directory:',
    curl: `curl -s "${SESSION}/files/content?path=../etc/passwd"`,
    status: 403,
  },
  {
    operation: 'removeFile',
    says: '',
    curl: `curl -s -X DELETE "${SESSION}/files/content?path=data/a.csv"`,
    status: 204,
  },
  {
    operation: 'installPackages',
    says: '',
    curl: `curl -s ${SESSION}/packages ${JSON_TYPE} -d '{"packages": ["humanize==4.9.0"]}'`,
    status: 200,
  },
  {
    operation: 'replExecute',
    says: 'The session of this id is made on first use:',
    curl: `curl -s $CODERUN_URL/repl/execute ${JSON_TYPE} -d '{"session_id": "chat 1", "code": "x = 6 * 7\\nx"}'`,
    status: 200,
  },
  {
    operation: 'replInstall',
    says: '',
    curl: 'curl -s -X POST "$CODERUN_URL/repl/install?session_id=chat%201&package=humanize==4.9.0"',
    status: 200,
  },
  { operation: 'terminateSession', says: '', curl: `curl -s -X DELETE ${SESSION}`, status: 200 },
  {
    operation: 'executeInSession',
    says: 'A session that has ended takes nothing any more:',
    curl: `curl -s ${SESSION}/execute ${JSON_TYPE} -d '{"code": "x"}'`,
    status: 409,
  },
];

const START = '2026-01-01T00:00:00Z';
const EXPIRY = '2026-01-01T00:10:00Z';

/** Makes every session ready as soon as it is created, ends it when it is asked to, and answers for its sandbox. */
export async function pretendSessions(kube: FakeKube): Promise<void> {
  const agent = new BridgeAgent(asTheExamplesDo);
  kube.onExec = () => agent.connect();
  kube.onWrite(() => {
    const sessions = kube.all<ReplSession>(REPL_SESSIONS);
    queueMicrotask(() => {
      for (const session of sessions) {
        if (!session.status) void stand(kube, session, 'Ready');
        else if (session.spec.terminated && !session.status.completionTime) void stand(kube, session, 'Terminated');
      }
    });
  });
  const spec = { image: 'coderun/python', network: 'PackageIndex', packageIndexURL: 'http://package-index/simple/' };
  const { kind } = SANDBOX_CLASSES;
  await kube.create(SANDBOX_CLASSES, { apiVersion: API_VERSION, kind, metadata: { name: 'packages' }, ...{ spec } });
}

async function stand(kube: FakeKube, session: ReplSession, reason: 'Ready' | 'Terminated'): Promise<void> {
  const ready = reason === 'Ready';
  const condition = readyCondition(ready, reason, '', 1, new Date(START), undefined);
  const { name, uid } = session.metadata;
  const status = {
    ...session.status,
    ...{ startTime: START, lastActivityTime: START, executions: 0 },
    ...(ready ? { expiresAt: EXPIRY } : { completionTime: EXPIRY }),
    sandbox: { podName: `pod-${name}`, podUID: `pod-of-${uid}`, nodeName: 'node-1', warm: true },
    conditions: [condition],
  };
  await kube.replaceStatus(REPL_SESSIONS, { ...session, status }).catch(() => undefined);
}

const FILE = UPLOADS['a.csv'] ?? '';
const TRACEBACK = 'Traceback (most recent call last):\n  File "<execution 3>", line 1, in <module>\n';

const asTheExamplesDo: Rule = (request, say) => {
  if ('execute' in request) say(...execution(request.execute.code));
  else if ('variables' in request)
    say({ done: { variables: [{ name: 'x', type: 'int', size: '', repr: '42' }], truncated: false } });
  else if ('listFiles' in request) {
    const modified = Date.parse(START);
    say({ done: { entries: [{ name: 'a.csv', kind: 'file', bytes: FILE.length, modified }], truncated: false } });
  } else if ('readFile' in request) say(...reading(request.readFile.path));
  else if ('writeFile' in request) say({ window: { bytes: 1024 } });
  else if ('install' in request)
    say(
      { stdout: 'Collecting humanize==4.9.0\n' },
      { done: { packages: [{ name: 'humanize==4.9.0', version: '4.9.0', message: '' }] } },
    );
  else if (!('chunk' in request) || request.chunk.last) say({ done: {} });
};

const printed = (stdoutBytes: number, stderrBytes: number) => ({
  ...{ stdoutBytes, stderrBytes },
  ...{ stdoutTruncated: false, stderrTruncated: false },
});

function execution(code: string): object[] {
  const started = (executionCount: number) => ({ started: { executionCount } });
  const session = (executionCount: number) => ({ session: { executionCount, stateKept: true } });
  switch (code) {
    case 'print(x)':
      return [started(2), { stdout: '42\n' }, anExit({ ...session(2), output: printed(3, 0) })];
    case '1/0': {
      const traceback = `${TRACEBACK}ZeroDivisionError: division by zero\n`;
      const error = { name: 'ZeroDivisionError', value: 'division by zero', traceback };
      return [
        started(3),
        { stderr: traceback },
        anExit({ ...session(3), exitCode: 1, error, output: printed(0, traceback.length) }),
      ];
    }
    default:
      return [started(1), { result: { mime: { 'text/plain': '42' } } }, anExit(session(1))];
  }
}

const reading = (path: string): object[] =>
  path.startsWith('..')
    ? [{ failed: { reason: 'PathNotAllowed', message: '' } }]
    : [
        { chunk: { bytes: FILE.length, contentBase64: Buffer.from(FILE).toString('base64') } },
        { done: { bytes: FILE.length } },
      ];
