"""Where the compiler of networks keeps what it has made: code that it will run again, unseen."""

import os
import platform
import stat
from pathlib import Path

from ..errors import Halt
from ..params import ROOT
from .marks import not_in_key

CACHES = ROOT / ".store" / "inductor"


@not_in_key
def keep_private(caches: Path = CACHES) -> None:
    """Let torch's inductor keep its cache in a folder below `caches` that is this user's alone.

    By default it is a folder in /tmp of a name that anyone can make first, and what lies there is
    loaded as pickles and machine code. One folder for each machine: the code is made for its
    processor.

    Raises
    ------
    Halt
        The folder is not one that only this user can write to.
    """
    folder = caches / f"user{os.getuid()}-{platform.node() or 'here'}"
    caches.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Halt(f"{folder} is open to others, who could put code there: delete it")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)  # read at each use
    from torch._inductor import codecache  # seconds of imports, which compiling needs anyway

    # Compiled headers would go to /tmp all the same; a setting that is turned off here is on again
    # in the thread in which a backward pass is compiled.
    codecache._HEADER_DIR = str(folder / "precompiled_headers")
    codecache._HEADER_LOCK_DIR = str(folder / "precompiled_headers/locks")
