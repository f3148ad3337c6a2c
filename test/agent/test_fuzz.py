"""Garbage on the agent's standard input, the same in every run: it is refused, and the agent still answers."""

from __future__ import annotations

import json
import random
import unittest

from support import MIB, Agent, order

from agent import commands

SCALARS = [None, True, 0, -1, 2**70, 1.5, 1e308, '', 'x', '\ud800', '\0', 'é' * 100, 'x' * 5000]


def any_value(source: random.Random, depth: int = 0):
    kind = source.randrange(4 if depth < 4 else 2)
    if kind < 2:
        return source.choice(SCALARS)
    if kind == 2:
        return [any_value(source, depth + 1) for _ in range(source.randrange(5))]
    return {source.choice(['a', 'epoch', 'id', '__proto__', '']): any_value(source, depth + 1) for _ in range(3)}


def bent_order(source: random.Random) -> bytes:
    """A valid order with one field made wrong, so that it comes as far as the fields are checked."""
    command = order('1', args=['a'], env=[{'name': 'A', 'value': 'b'}], artifacts=['*'])
    command['execute'][source.choice([*command['execute'], 'new'])] = {'bent': any_value(source)}
    return json.dumps(command).encode()


def garbage(source: random.Random) -> bytes:
    valid = json.dumps(order('print(1)')).encode()
    return source.choice(
        [
            lambda: source.randbytes(source.randrange(200)),
            lambda: valid[: source.randrange(len(valid))],
            lambda: valid + source.randbytes(3),
            lambda: json.dumps(any_value(source)).encode(),
            lambda: bent_order(source),
            lambda: b'[' * source.randrange(1, 50_000),
            lambda: b'{"hello":' * source.randrange(1, 50_000),
            lambda: (
                b'{"hello":{"epoch":' + source.choice([b'NaN', b'Infinity', b'-0.0', b'1e999', b'9' * 5000]) + b'}}'
            ),
            lambda: b'{"hello":{"epoch":-1},"hello":{"epoch":-1}}',
            lambda: b'x' * source.randrange(MIB - 5, 2 * MIB),
            lambda: b'{"execute":' + json.dumps(any_value(source)).encode() + b'}',
        ]
    )()


class Fuzz(unittest.TestCase):
    def test_no_line_raises_anything_but_invalid(self):
        source = random.Random(1)
        for _ in range(3000):
            line = garbage(source).replace(b'\n', b' ')
            try:
                commands.parse_command(line)
            except commands.Invalid as invalid:
                self.assertLess(len(str(invalid)), 1024)
            else:
                self.fail(f'passed: {line[:200]!r}')

    def test_the_agent_answers_hello_after_any_garbage(self):
        source = random.Random(2)
        with Agent() as agent:
            for count in range(1, 31):
                for _ in range(5):
                    agent.send_bytes(garbage(source) + b'\n')
                agent.send({'hello': {'epoch': count}})
                events = agent.until('hello')
                self.assertEqual(events[-1]['hello']['epoch'], count)
                self.assertTrue(all('refused' in event for event in events[:-1]))
            self.assertIsNone(events[-1]['hello']['run'])


if __name__ == '__main__':
    unittest.main()
