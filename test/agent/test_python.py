"""What a Python program sees and what is told of it."""

from __future__ import annotations

import unittest

from support import AgentTest, encoded


class Semantics(AgentTest):
    def test_output_comes_apart_and_whole(self):
        run = self.run_code('import sys\nprint("out")\nprint("err", file=sys.stderr)')
        self.assertEqual((run.stdout, run.stderr, run.exit['exitCode']), ('out\n', 'err\n', 0))
        self.assertEqual(
            run.exit['output'], {'stdoutBytes': 4, 'stderrBytes': 4, 'stdoutTruncated': False, 'stderrTruncated': False}
        )
        self.assertEqual((run.exit['cause'], run.exit['error'], run.exit['signal']), (None, None, None))

    def test_program_is_main_with_its_file_arguments_input_and_environment(self):
        run = self.run_code(
            'import os, sys\n'
            'print(__name__, os.path.basename(__file__), open(__file__).read().count("\\n"))\n'
            'print(sys.argv[1:], input(), sys.stdin.read(), os.environ["A"], os.getcwd() == os.environ["HOME"])\n'
            'print(sys.modules["__main__"].__dict__ is globals())',
            args=['x', '-y z'],
            stdin='first\nrest é',
            env=[{'name': 'A', 'value': 'bé'}],
        )
        self.assertEqual(run.stderr, '')
        self.assertEqual(run.stdout, "__main__ main.py 3\n['x', '-y z'] first rest é bé True\nTrue\n")

    def test_input_without_stdin_is_at_its_end(self):
        run = self.run_code('input()')
        self.assertEqual((run.exit['error']['name'], run.exit['exitCode']), ('EOFError', 1))

    def test_agents_and_clusters_variables_stay_outside(self):
        run = self.run_code(
            'import os, re\n'
            'print([n for n in os.environ if re.search("CODERUN|KUBE|_PORT|_SERVICE", n)], os.environ["IMAGE"])',
            agent={
                'environment': {
                    'KUBERNETES_SERVICE_HOST': 'x',
                    'A_SERVICE_HOST': 'x',
                    'A_PORT_80_TCP': 'x',
                    'A_PORT': 'x',
                    'IMAGE': 'kept',
                }
            },
        )
        self.assertEqual(run.stdout, '[] kept\n')

    def test_files_are_put_into_the_workspace_and_can_be_imported(self):
        run = self.run_code(
            'import helper, sys\nprint(helper.answer, open("data/deep/x.bin", "rb").read())',
            files=[
                {'path': 'helper.py', 'contentBase64': encoded(b'answer = 42')},
                {'path': 'data/deep/x.bin', 'contentBase64': encoded(b'\x00\xff')},
            ],
        )
        self.assertEqual(run.stdout, "42 b'\\x00\\xff'\n")

    def test_a_file_named_as_the_program_is_kept(self):
        run = self.run_code(
            'import main; print(main.x)', files=[{'path': 'main.py', 'contentBase64': encoded(b'x = 7')}]
        )
        self.assertEqual(run.stdout, '7\n')

    def test_exit_codes(self):
        table = [
            ('raise SystemExit', 0, ''),
            ('import sys; sys.exit(0)', 0, ''),
            ('import sys; sys.exit(7)', 7, ''),
            ('import sys; sys.exit(-1)', 255, ''),
            ('import sys; sys.exit(True)', 1, ''),
            ('import sys; sys.exit("over")', 1, 'over\n'),
            ('exit(3)', 3, ''),
            ('import os; os._exit(4)', 4, ''),
        ]
        for code, expected, stderr in table:
            with self.subTest(code):
                run = self.run_code(code)
                self.assertEqual((run.exit['exitCode'], run.stderr, run.exit['error']), (expected, stderr, None))
                self.assertEqual(run.process_exit_code, expected)

    def test_an_uncaught_error_is_told_as_python_tells_it(self):
        run = self.run_code('def f(x):\n    return 1 / x\n\nf(0)')
        error = run.exit['error']
        self.assertEqual(
            (error['name'], error['value'], run.exit['exitCode']), ('ZeroDivisionError', 'division by zero', 1)
        )
        self.assertEqual(error['traceback'], run.stderr)
        self.assertRegex(
            run.stderr, r'^Traceback \(most recent call last\):\n  File ".*/main.py", line 4, in <module>\n    f\(0\)\n'
        )
        self.assertIn('    return 1 / x\n', run.stderr)
        self.assertNotIn('<string>', run.stderr)

    def test_a_syntax_error_is_told_with_its_line(self):
        run = self.run_code('x = 1\nif x\n  pass')
        self.assertEqual((run.exit['error']['name'], run.exit['exitCode']), ('SyntaxError', 1))
        self.assertRegex(run.stderr, r'^  File ".*/main.py", line 2\n    if x\n')

    def test_chained_errors_and_replaced_hooks(self):
        run = self.run_code('try:\n    1/0\nexcept Exception as e:\n    raise KeyError("k") from e')
        self.assertIn('direct cause', run.stderr)
        run = self.run_code('import sys\nsys.excepthook = lambda *a: print("hooked", a[0].__name__)\n1/0')
        self.assertEqual(
            (run.stdout, run.stderr, run.exit['error']['name']), ('hooked ZeroDivisionError\n', '', 'ZeroDivisionError')
        )

    def test_the_future_of_the_agent_is_not_the_programs(self):
        run = self.run_code('def f(x: int): pass\nf.__annotations__')
        self.assertEqual(run.results, [{'text/plain': "{'x': <class 'int'>}"}])

    def test_top_level_await(self):
        run = self.run_code(
            'import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 5\nx = await f()\nawait f() + x'
        )
        self.assertEqual((run.results, run.stderr), ([{'text/plain': '10'}], ''))

    def test_modules_are_imported_ahead_and_a_missing_one_is_tolerated(self):
        run = self.run_code(
            'import sys; print("fractions" in sys.modules)', agent={'preload': 'fractions,no_such_module'}
        )
        self.assertEqual((run.stdout, run.stderr), ('True\n', ''))

    def test_multiprocessing_works_by_every_start_method(self):
        for method in ('fork', 'spawn'):
            run = self.run_code(
                'import multiprocessing\n'
                'def double(x):\n    return 2 * x\n'
                'if __name__ == "__main__":\n'
                f'    with multiprocessing.get_context("{method}").Pool(2) as pool:\n'
                '        print(pool.map(double, [1, 2]))'
            )
            self.assertEqual((run.stdout, run.stderr), ('[2, 4]\n', ''), method)


class Ending(AgentTest):
    def test_what_python_does_at_its_end(self):
        run = self.run_code(
            'import atexit, os, threading, time\n'
            'atexit.register(print, "atexit")\n'
            'threading.Thread(target=lambda: (time.sleep(0.05), print("thread"))).start()\n'
            'class Last:\n    def __del__(self): print("del", os.sep)\n'
            'last = Last()\n'
            'file = open("kept.txt", "w"); file.write("flushed")\n'
            'print("no newline", end="")',
            artifacts=['*.txt'],
        )
        self.assertEqual(run.stdout, 'no newlinethread\natexit\ndel /\n')
        self.assertEqual(run.artifacts, {'kept.txt': b'flushed'})

    def test_files_of_imported_modules_are_flushed(self):
        run = self.run_code(
            'import helper',
            files=[{'path': 'helper.py', 'contentBase64': encoded(b'f = open("h.txt", "w"); f.write("x")')}],
            artifacts=['h.txt'],
        )
        self.assertEqual(run.artifacts, {'h.txt': b'x'})

    def test_daemon_threads_end_with_the_program(self):
        run = self.run_code(
            'import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()'
        )
        self.assertLess(run.exit['durationMilliseconds'], 2000)
        self.assertEqual(run.exit['exitCode'], 0)


class Results(AgentTest):
    def test_the_last_expression_is_the_result(self):
        self.assertEqual(self.run_code('1\n2 + 3').results, [{'text/plain': '5'}])
        self.assertEqual(self.run_code('x = 5').results, [])
        self.assertEqual(self.run_code('print(1)').results, [])
        self.assertEqual(self.run_code('"text"').results, [{'text/plain': "'text'"}])
        self.assertEqual(self.run_code('').results, [])

    def test_every_form_that_notebooks_know(self):
        run = self.run_code(
            'class Rich:\n'
            '    def __repr__(self): return "plain"\n'
            '    def _repr_html_(self): return "<b>é</b>"\n'
            '    def _repr_markdown_(self): return "**b**"\n'
            '    def _repr_latex_(self): return "$x$", {"meta": 1}\n'
            '    def _repr_svg_(self): return "<svg/>"\n'
            '    def _repr_png_(self): return b"\\x89PNG"\n'
            '    def _repr_jpeg_(self): return "Zm9v"\n'
            '    def _repr_json_(self): return {"a": [1]}\n'
            '    def _repr_mimebundle_(self, include=None, exclude=None): return {"application/x-own": "own"}\n'
            'Rich()'
        )
        self.assertEqual(
            run.results,
            [
                {
                    'text/plain': 'plain',
                    'text/html': '<b>é</b>',
                    'text/markdown': '**b**',
                    'text/latex': '$x$',
                    'image/svg+xml': '<svg/>',
                    'image/png': encoded(b'\x89PNG'),
                    'image/jpeg': 'Zm9v',
                    'application/json': '{"a":[1]}',
                    'application/x-own': 'own',
                }
            ],
        )

    def test_forms_that_fail_or_are_none_are_left_out(self):
        run = self.run_code(
            'class Broken:\n'
            '    def __repr__(self): raise ValueError\n'
            '    def _repr_html_(self): raise KeyError\n'
            '    def _repr_png_(self): return None\n'
            'Broken()'
        )
        self.assertEqual(run.results, [{'text/plain': '<Broken: repr() raised ValueError>'}])
        self.assertEqual(run.exit['exitCode'], 0)

    def test_a_form_too_large_for_a_line_is_left_out(self):
        run = self.run_code(
            'class Large:\n'
            '    def __repr__(self): return "r" * 10**6\n'
            '    def _repr_html_(self): return "h" * 2**21\n'
            'Large()'
        )
        self.assertEqual([list(mime) for mime in run.results], [['text/plain']])
        self.assertEqual(len(run.results[0]['text/plain']), 65536)

    def test_a_class_is_not_its_instance(self):
        run = self.run_code('class Rich:\n    def _repr_html_(self): return "x"\nRich')
        self.assertEqual(run.results, [{'text/plain': "<class '__main__.Rich'>"}])


PYPLOT = b"""
import warnings
class Figure:
    def __init__(self, number): self.number = number
    def savefig(self, file, format, bbox_inches): file.write(b"PNG%d" % self.number)
    def __repr__(self): return f"<Figure {self.number}>"
import sys, types
sys.modules["matplotlib.figure"] = types.SimpleNamespace(Figure=Figure)
figures = {}
def figure(number=None):
    number = number or len(figures) + 1
    return figures.setdefault(number, Figure(number))
def get_fignums(): return sorted(figures)
def close(figure): figures.pop(figure.number)
def show(): warnings.warn("FigureCanvasAgg is non-interactive")
"""


class Figures(AgentTest):
    """By a stand-in with matplotlib's interface; the real one is in the image's own test."""

    files = [
        {'path': 'matplotlib/__init__.py', 'contentBase64': ''},
        {'path': 'matplotlib/pyplot.py', 'contentBase64': encoded(PYPLOT)},
    ]

    def test_open_figures_come_at_the_end_and_after_an_error(self):
        run = self.run_code('import matplotlib.pyplot as plt\nplt.figure(); plt.figure()\n1/0', files=self.files)
        self.assertEqual([mime['image/png'] for mime in run.results], [encoded(b'PNG1'), encoded(b'PNG2')])
        self.assertEqual(run.results[0]['text/plain'], '<Figure 1>')

    def test_show_brings_figures_in_order_without_a_warning(self):
        run = self.run_code(
            'import matplotlib.pyplot as plt\n'
            'plt.figure(5); plt.show()\nplt.figure(3); plt.show(block=True)\nplt.show()',
            files=self.files,
        )
        self.assertEqual([mime['image/png'] for mime in run.results], [encoded(b'PNG5'), encoded(b'PNG3')])
        self.assertEqual(run.stderr, '')


if __name__ == '__main__':
    unittest.main()
