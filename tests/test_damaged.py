"""A thousand stores damaged, none of them served. `make test-faults`."""

import os
import random
import shutil
import warnings
from collections import Counter
from pathlib import Path

import pytest
from test_store import contents
from toy_stages import Draw, Holder

from regl_core.engine import Store
from regl_core.engine.entry import ENTRY

pytestmark = pytest.mark.faults

STORES = 1000


def damaged(folder: Path, other: Path, draw: random.Random) -> str:
    """Damage the entry in `folder` in one way; which, in words."""
    file = draw.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    data = bytearray(file.read_bytes())
    ways = ["empty", "truncate", "flip", "grow", "foreign", "delete", "swap", "link", "folder"]
    ways = [*(ways if data else ways[3:]), "loop", "pipe", "list", "deep"]
    way = draw.choice([*ways, "whole", "nowhere", "elsewhere", "itself"])
    match way:
        case "empty":
            file.write_bytes(b"")
        case "truncate":
            file.write_bytes(data[: draw.randrange(len(data))])
        case "flip":
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            file.write_bytes(data)
        case "grow":
            file.write_bytes(data + draw.randbytes(draw.randint(1, 9)))
        case "foreign":
            (file.parent / f"{draw.randrange(9)}.bin").write_bytes(draw.randbytes(3))
        case "delete":
            file.unlink()
        case "swap":
            shutil.copy(other / (ENTRY if file.name == ENTRY else "value.txt"), file)
        case "link":
            file.unlink()
            file.symlink_to(other / ENTRY)
        case "folder":
            file.unlink()
            file.mkdir()
        case "loop":
            file.unlink()
            file.symlink_to(file.name)
        case "pipe":
            file.unlink()
            os.mkfifo(file)
        case "list":
            (folder / ENTRY).write_text(f"[{draw.randrange(9)}]")
        case "deep":
            (folder / ENTRY).write_text("[" * draw.randint(2, 200_000))
        case (
            "whole" | "nowhere" | "elsewhere" | "itself"
        ):  # a file or a link in the place of the entry
            shutil.rmtree(folder)
            match way:
                case "whole":
                    folder.write_bytes(data)
                case "nowhere":
                    folder.symlink_to(folder.with_name("nowhere"))
                case "elsewhere":
                    folder.symlink_to(other, target_is_directory=True)
                case "itself":
                    folder.symlink_to(folder.name)
    return way


def test_no_damaged_store_is_served(tmp_path):
    inner, other = Draw(2), Holder("other")
    outer = Draw(1, (inner,))
    whole = Store(tmp_path / "whole")
    before = {stage: contents(whole.ensure(stage)) for stage in (inner, outer, other)}
    ways, served = Counter(), []
    for number in range(STORES):
        draw = random.Random(number)
        root = tmp_path / "damaged"
        shutil.copytree(whole.root, root)
        victim = draw.choice([outer, inner])
        relative = whole.path(victim).relative_to(whole.root)
        way = damaged(root / relative, whole.path(other), draw)
        ways[way] += 1
        store = Store(root)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            if store.has(victim):
                served.append((number, way))
        assert len(told) == 1 and "\n" not in str(told[0].message), (number, way)
        if number % 10 == 0:
            assert all(contents(store.ensure(stage)) == before[stage] for stage in before)
        shutil.rmtree(root)
    print(f"\n{STORES} damaged stores, {len(served)} of them served: {dict(ways)}")
    assert served == []
