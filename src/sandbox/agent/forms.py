"""Values and figures in the forms that notebooks show."""

from __future__ import annotations

import binascii
import importlib.util
import io
import sys

from .bounds import FORM_LIMIT, LINE_LIMIT, REPORT_FD
from .kernel import write_all
from .lines import clip, encode_json
from .reports import encode_report


METHODS = {
    '_repr_html_': 'text/html',
    '_repr_markdown_': 'text/markdown',
    '_repr_latex_': 'text/latex',
    '_repr_json_': 'application/json',
    '_repr_svg_': 'image/svg+xml',
    '_repr_png_': 'image/png',
    '_repr_jpeg_': 'image/jpeg',
}


def forms(value) -> dict[str, str]:
    """The value by MIME type, in every form that its class offers to notebooks."""
    found = {mime: ask(value, method) for method, mime in METHODS.items()}
    bundle = ask(value, '_repr_mimebundle_')
    found.update(bundle if isinstance(bundle, dict) else {})
    if isinstance(value, getattr(sys.modules.get('matplotlib.figure'), 'Figure', ())):
        found['image/png'] = picture(value)
    found['text/plain'] = found.get('text/plain') or safe_text(value, repr)
    return {mime: as_text(form) for mime, form in found.items() if form is not None}


def ask(value, method: str):
    """What the method says, found in the class as Python finds its own protocols; None where it fails."""
    try:
        answer = getattr(type(value), method)(value)
    except Exception:
        return None
    return answer[0] if isinstance(answer, tuple) and answer else answer  # the rest is metadata


def as_text(form) -> str:
    if isinstance(form, bytes):
        return binascii.b2a_base64(form, newline=False).decode()
    return form if isinstance(form, str) else encode_json(form)


def safe_text(value, convert) -> str:
    try:
        return clip(convert(value), FORM_LIMIT)
    except Exception as error:
        return f'<{type(value).__name__}: {convert.__name__}() raised {type(error).__name__}>'


def tell_forms(mime: dict[str, str]) -> None:
    """Reports a result, without the forms that are too large for a line."""
    while mime:
        line = encode_report({'result': mime})
        if len(line) <= LINE_LIMIT - 1024:
            write_all(REPORT_FD, line)
            return
        del mime[max(mime, key=lambda name: len(mime[name]))]


def picture(figure) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format='png', bbox_inches='tight')
    return content.getvalue()


def show_figures(*_, **__) -> None:
    """Reports the open figures in order, and closes them as somebody closes a window. It is plt.show() as well."""
    pyplot = sys.modules.get('matplotlib.pyplot')
    for number in pyplot.get_fignums() if pyplot else ():
        figure = pyplot.figure(number)
        tell_forms(forms(figure))
        pyplot.close(figure)


class PyplotFinder:
    """Finds matplotlib.pyplot where it is, and makes its show() ours once it is imported."""

    def find_spec(self, name, path=None, target=None):
        if name != 'matplotlib.pyplot':
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def execute_and_replace(module):
            execute(module)
            module.show = show_figures

        spec.loader.exec_module = execute_and_replace
        return spec
