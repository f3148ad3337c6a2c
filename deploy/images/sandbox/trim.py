"""Makes the installed packages smaller and faster to import: run once, while the image is built."""

import compileall
import pathlib
import shutil
import sysconfig

packages = pathlib.Path(sysconfig.get_path("purelib"))

# The packages' own tests are a third of their size, and nothing imports them.
for folder in sorted(packages.rglob("tests")):
    if folder.is_dir():
        shutil.rmtree(folder)

# matplotlib looks through all fonts once a user, and keeps the list in the user's cache. A sandbox is a new user every
# time, so the list lies beside matplotlib's data, made now.
font_manager = packages / "matplotlib" / "font_manager.py"
source = font_manager.read_text()
before, after = 'mpl.get_cachedir(), f"fontlist', 'mpl.get_data_path(), f"fontlist'
if source.count(before) != 1:
    raise SystemExit("matplotlib keeps its list of fonts in another way than this script knows: adapt trim.py")
font_manager.write_text(source.replace(before, after))

import matplotlib.font_manager  # noqa: E402  (makes the list)

lists = list(pathlib.Path(matplotlib.get_data_path()).glob("fontlist-*.json"))
if len(lists) != 1:
    raise SystemExit("matplotlib made no list of fonts")
lists[0].chmod(0o644)

compileall.compile_dir(packages, quiet=1)
